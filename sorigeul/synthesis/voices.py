"""The voices of the demo corpus: which variants of eSpeak NG speak in which split."""

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
"""The variants of eSpeak NG that speak, by split.

Left out are those that whisper or croak, the robots, the strong echoes, those whose formants lie
off a human's (``kaukovalta``, ``zac``, ``Tweaky`` ...), and ``Reed``, whose breath no seed reaches.
Some of the rest are near twins, such as ``rob`` and ``robert``: no voice of dev or test has its
twin in train.
"""
