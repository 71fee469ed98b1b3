"""One file for each corpus: reads its folders and formats, and yields utterances."""
