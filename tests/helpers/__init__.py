"""What the tests of several folders share: small corpora, sounds, commands and processes."""
