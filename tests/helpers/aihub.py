"""Small corpora in the layouts of AI Hub's sets: labels and recordings, in folders or zip files."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

Tree = dict[str, dict[str, bytes]]
"""the content of files by their path, in folders (or zip files) by theirs"""


def noise(seconds: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int16]]:
    """16-bit samples that differ from second to second."""
    return np.random.default_rng(seed).integers(-9000, 9000, round(16_000 * seconds), np.int16)


def wav(seconds: float = 0.5, seed: int = 0) -> bytes:
    """The bytes of a recording of `noise`."""
    file = BytesIO()
    soundfile.write(file, noise(seconds, seed), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def to_bytes(label: Any, encoding: str = "utf-8") -> bytes:
    """A label as a file."""
    return json.dumps(label, ensure_ascii=False, indent=1).encode(encoding)


@dataclass(frozen=True)
class OneByOne:
    """A layout with a label for each utterance."""

    make: Callable[[str, str, str], Any]
    """label of a file name, text and speaker"""
    names_recording: bool
    text: str
    """with the marks of the set"""
    expected: str
    folders: tuple[str, str] = ("Training/라벨", "Training/원천")
    """of labels and of recordings"""
    inner: str = "가/S0001"


@dataclass(frozen=True)
class Sessions:
    """A layout with a label for each long recording."""

    make: Callable[[list[dict[str, Any]]], Any]
    key: str
    """that holds the text"""
    text: str
    expected: str
    hidden: str
    """a text that leaves out what is said"""
    further: dict[str, str] = field(default_factory=dict)
    """fields of each utterance"""


ONE_BY_ONE = {
    "freetalk": OneByOne(
        lambda name, text, speaker: {
            "발화정보": {"stt": text, "scriptId": "x", "fileNm": name, "recrdTime": "0.5"},
            "대화정보": {"recrdEnvrn": "실내", "cityCode": "경상", "convrsThema": "날씨"},
            "녹음자정보": {"gender": "여", "recorderId": speaker, "age": "60대"},
        },
        True,
        "(SN:오늘은) (NO:) 뭐 (SP:묵었노) (FP:음)",
        "오늘은 뭐 묵었노 음",
        ("Training/[라벨]1.AI챗봇", "Training/[원천]1.AI챗봇_1"),
        "AI챗봇/일반남여_일반통합01_F_1522434093_60_경상_실내",
    ),
    "command": OneByOne(
        lambda name, text, speaker: {
            "기본정보": {"Language": "KOR", "DataCategory": "키오스크"},
            "음성정보": {"SamplingRate": "16000"},
            "전사정보": {"LabelText": text},
            "화자정보": {"SpeakerName": speaker, "Gender": "Male", "Age": "30"},
            "환경정보": {"NoiseEnviron": "실내"},
            "파일정보": {"FileCategory": "Audio", "FileName": name, "FileLength": "0.5"},
        },
        True,
        "커피 (2잔)/(두 잔) 줘",
        "커피 두 잔 줘",
        ("Training/3.키오스크_라벨링", "Training/3.키오스크_원천_1"),
    ),
    "lecture": OneByOne(
        lambda name, text, speaker: {
            "01_dataset": {"1_identifier": name, "3_src_path": f"source/eng/comp/C1/{name}"},
            "03_lectureinfo": {"3_major_category": "eng"},
            "05_speakerinfo": {"1_id": speaker},
            "06_transcription": {"1_text": text, "2_entity": []},
        },
        False,
        "(이 차)/(2차) 함수",
        "이 차 함수",
        ("Training/02.라벨링데이터/TL", "Training/01.원천데이터/TS"),
        "eng/comp/C02199",
    ),
    "learner": OneByOne(
        lambda name, text, speaker: {
            "fileName": name,
            "transcription": {"ReadingLabelText": "", "AnswerLabelText": text},
            "basic_info": {"nationality": "일본", "speaker": speaker},
        },
        True,
        "저는 (3)/(세) 살",
        "저는 세 살",
    ),
    "callcenter": OneByOne(
        lambda name, text, speaker: {
            "info": [{"metadata": {"speaker_id": speaker, "category1": name}}],
            "inputText": [{"orgtext": text}],
        },
        False,
        "네 상담원입니다",
        "네 상담원입니다",
    ),
}

SESSIONS = {
    "broadcast": Sessions(
        lambda utterances: {"metadata": {"title": "t"}, "utterance": utterances},
        "form",
        "(십 분만)/(10분만) 투자하면 @웃음",
        "십 분만 투자하면",
        "경제신문 @이름1 기자",
    ),
    "meeting": Sessions(
        lambda utterances: {
            "metadata": {"media": "회의"},
            "speaker": [{"id": "1", "role": "사회자"}],
            "setting": {"relation": "사회자있음"},
            "utterance": utterances,
        },
        "original_form",
        "(재개합니다)/(idiom) n/ (오 명)/(5명)",
        "재개합니다 오 명",
        "@상호명2 의 발표",
        {"form": "다른 글", "environment": ""},
    ),
    "dialect": Sessions(
        lambda utterances: {"metadata": {"title": "t"}, "utterance": utterances},
        "dialect_form",
        "{laughing} 긍까 -그- 카레가~",
        "긍까 그 카레가",
        "(()) &name& 씨",
        {"form": "(긍까)/(그러니까)", "standard_form": "그러니까", "eojeolList": ""},
    ),
}


def write_tree(root: Path, tree: Tree, zipped: bool) -> None:
    """Write the files into folders; or into zip files, named and compressed as on Windows."""
    for folder, files in tree.items():
        if not zipped:
            for name, content in files.items():
                path = root / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            continue
        path = root / f"{folder}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, (name, content) in enumerate(files.items()):
                info = _Cp949Info(name)
                info.compress_type = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
                archive.writestr(info, content)


class _Cp949Info(zipfile.ZipInfo):
    """A member whose name is in CP949, without saying so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp949"), self.flag_bits
