// What the page says, in Korean and English.

const TEXTS = {
  ko: {
    title: "말하면, 글이 됩니다",
    lead: "녹음하거나, 소리 파일을 이 페이지에 놓으세요.",
    language: "언어",
    record: "녹음 시작",
    stop: "녹음 끝내기",
    chooseFiles: "파일 고르기",
    recordingName: "녹음 {time}",
    dropHere: "여기에 놓으세요",
    privacy: "모두 이 브라우저 안에서 계산합니다. 소리는 어디로도 보내지 않고, 페이지를 닫으면 글도 사라집니다.",
    results: "녹음과 글",
    loading: "모델을 준비하는 중",
    waiting: "차례를 기다리는 중",
    recognizing: "글로 옮기는 중",
    failed: "글로 옮기지 못했습니다",
    done: "{name}: 글로 옮겼습니다",
    nobody: "이 녹음에서는 말소리를 찾지 못했습니다.",
    doubtful: "확인 필요",
    copy: "복사",
    copied: "복사했습니다",
    copyFailed: "복사하지 못했습니다",
    unreadable: "이 파일에서 소리를 읽지 못했습니다. 소리 파일이 맞는지, 이 브라우저가 재생하는 형식인지 확인하세요.",
    short: "파일이 중간에서 끊겼습니다. 다시 복사하거나 내려받으세요.",
    silent: "이 파일에는 아무 소리도 없습니다. 다른 프로그램에서도 들리지 않으면, 녹음할 때 마이크가 켜져 있었는지 확인하세요.",
    insecure: "이 주소는 보안 연결(https)이 아니어서 브라우저가 마이크를 막습니다. 파일은 지금도 고를 수 있습니다.",
    microphone: "마이크를 열지 못했습니다. 연결되어 있는지, 주소창 왼쪽의 사이트 설정에서 허용했는지 확인하고 다시 누르세요.",
    broken: "모델을 불러오지 못했습니다. 내보낸 폴더를 통째로 다시 올리고, 새 브라우저로 여세요.",
    error: "인식하다 문제가 생겼습니다.",
  },
  en: {
    title: "Speak, and it is written",
    lead: "Record, or drop a sound file on this page.",
    language: "Language",
    record: "Start recording",
    stop: "Stop recording",
    chooseFiles: "Choose files",
    recordingName: "Recording {time}",
    dropHere: "Drop here",
    privacy: "All of it is computed in this browser. Sound is sent nowhere, and closing the page discards the texts.",
    results: "Recordings and texts",
    loading: "Loading the model",
    waiting: "Waiting",
    recognizing: "Recognising",
    failed: "Could not be recognised",
    done: "{name}: recognised",
    nobody: "No speech was found in this recording.",
    doubtful: "check this",
    copy: "Copy",
    copied: "Copied",
    copyFailed: "Could not be copied",
    unreadable: "No sound could be read from this file. Check that it is a sound file, of a kind that this browser plays.",
    short: "The file breaks off in the middle. Copy or download it again.",
    silent: "There is no sound in this file. If other programs are silent, too, check that the microphone was on when it was recorded.",
    insecure: "This address is no secure connection (https), so the browser blocks the microphone. Files can be chosen as it is.",
    microphone: "The microphone could not be opened. Check that one is connected and allowed in the site settings, left of the address, and press again.",
    broken: "The model could not be loaded. Copy the whole exported folder again, and use a recent browser.",
    error: "Something went wrong while recognising.",
  },
};

const preferred = (navigator.languages?.[0] ?? "").toLowerCase();
let language = preferred.startsWith("ko") ? "ko" : "en";

export function text(name, values = {}) {
  return TEXTS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

// Elements say by attributes which text they show, or are labelled with; `chosen` changes the language
export function translate(chosen = language) {
  document.documentElement.lang = language = chosen;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = text(element.dataset.label);
  for (const button of document.querySelectorAll(".languages button")) button.ariaPressed = button.lang === language;
}
