"""Recognisers that `sorigeul compare` can judge, ours and others: each makes texts of recordings.

Does not know about scores. `specification` is the way in.
"""
