"""The voices of the demo corpus: which eSpeak NG variants speak in which split."""

VOICES: dict[str, tuple[str, ...]] = {
    "train": (
        *("Alex", "Andrea", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Mario", "Michael"),
        *("Mike", "Storm", "adam", "anika", "aunty", "benjamin", "david", "ed", "edward2"),
        *("f3", "f4", "f5", "grandma", "grandpa", "gustave", "iven", "iven2", "iven3", "iven4"),
        *("john", "klatt3", "klatt4", "klatt5", "klatt6", "linda", "m1", "m3", "m5", "m6", "m7"),
        *("m8", "marcelo", "max", "michel", "miguel", "mike2", "paul", "pedro"),
        *("steph", "steph2", "steph3"),
    ),
    "dev": ("Denis", "f1", "pablo", "quincy", "victor"),
    "test": ("Annie", "Nguyen", "antonio", "belinda", "edward", "f2", "m2", "m4", "rob", "robert"),
}
"""Variants of eSpeak NG by split.

Excluded are variants that whisper or croak, robots, strong echoes, variants with formants that no
human has (``kaukovalta``, ``zac``, ``Tweaky`` ...), and ``Reed``, whose breath noise does not
depend on the seed. Some of the others sound almost the same, such as ``rob`` and ``robert``. Such a
pair is never divided between train and another split.
"""
