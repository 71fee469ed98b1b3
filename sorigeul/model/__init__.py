"""Listen, Attend and Spell. Tensors in, tensors out: knows no files, no text, no corpus.

Shapes, throughout the package: B utterances, T frames, F mel bands, S listener frames,
U characters, D width, V vocabulary, K beam.
"""
