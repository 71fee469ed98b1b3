"""The readers: one file a corpus, from its folders and formats to utterances."""
