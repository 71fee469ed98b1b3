// What the page says, in Korean and English.

const TEXTS = {
  ko: {
    title: "말하면, 글이 됩니다",
    lead: "녹음하거나, 소리나 영상 파일을 이 페이지에 놓으세요.",
    language: "언어",
    record: "녹음 시작",
    stop: "녹음 끝내기",
    chooseFiles: "파일 고르기",
    example: "예시 들어 보기",
    exampleName: "예시",
    liveName: "녹음 {time}",
    dropHere: "여기에 놓으세요",
    privacy: "소리는 이 서버에서만 글이 되고, 저장되지 않습니다. 페이지를 닫으면 결과도 사라집니다.",
    settings: "설정",
    model: "모델",
    terms: "자주 나오는 용어",
    termsHint: "사람 이름이나 전문 용어를 쉼표나 줄로 나누어 적으면, 그 말로 더 잘 알아듣습니다.",
    termsCount: "용어 {count}개",
    again: "다시 인식",
    againAsk: "고친 글이 사라집니다. 다시 인식할까요?",
    recordings: "녹음과 글",
    waiting: "차례를 기다리는 중",
    busy: "서버가 바쁩니다. {seconds}초 뒤에 다시 보냅니다",
    uploading: "보내는 중 {percent}%",
    recognizing: "글로 옮기는 중",
    recognizingShare: "글로 옮기는 중 {percent}%",
    live: "듣고 있습니다",
    liveEmpty: "말씀하세요. 말하는 동안 글이 나타납니다.",
    provisional: "아직 바뀔 수 있음",
    finishing: "마지막 말을 글로 옮기는 중",
    failed: "글로 옮기지 못했습니다",
    nobody: "이 녹음에서는 말소리를 찾지 못했습니다.",
    quiet: "소리가 들리지 않습니다. 마이크가 켜져 있는지 확인하세요.",
    socketLost: "실시간 인식이 끊겼습니다. 녹음은 계속되고, 끝나면 글로 옮깁니다.",
    doubtfulCount: "확인할 곳 {count}",
    doubtful: "확인 필요",
    doubtfulTitle: "틀렸을 수 있는 부분입니다. 들어 보고 고치세요",
    lowWords: "확신이 낮은 말: {words}",
    legendLow: "점선 밑줄",
    legendLowMeaning: "확신이 낮은 말",
    legendDoubtfulMeaning: "틀렸을 수 있는 부분 (파형의 빗금)",
    wordTitle: "확신 {percent}% · {time}",
    editedTitle: "고친 말 · {time}",
    play: "재생",
    pause: "멈춤",
    position: "재생 위치",
    positionText: "{time}, 전체 {duration}",
    playFrom: "{time}부터 재생",
    unplayable: "이 브라우저는 이 형식을 재생하지 못합니다. 글은 그대로 쓸 수 있습니다.",
    edit: "고치기",
    editLabel: "{time}의 글 고치기",
    save: "저장",
    cancel: "취소",
    keys: "← → 단어 이동 · 스페이스 재생 · 엔터 고치기",
    attention: "어텐션 보기",
    attentionHide: "어텐션 닫기",
    attentionLabel: "각 글자가 소리의 어디에서 나왔는지 보여 주는 그림",
    attentionCaption: "글자마다(세로) 모델이 귀 기울인 때(가로)입니다. 진할수록 더 들었습니다.",
    copy: "복사",
    copied: "복사했습니다",
    copyFailed: "복사하지 못했습니다",
    download: "내려받기",
    downloadAs: "{format} 파일로 내려받기",
    sound: "소리",
    remove: "지우기",
    removeName: "{name} 지우기",
    removed: "{name}을(를) 지웠습니다",
    done: "{name}: 글로 옮겼습니다",
    keyTitle: "API 키가 필요합니다",
    keyHint: "이 서버를 운영하는 사람에게 받은 키를 넣으세요. 이 탭을 닫으면 잊습니다.",
    keyLabel: "API 키",
    enter: "확인",
    retry: "다시 시도",
    errorNetwork: "서버에 연결되지 않습니다. 서버가 켜져 있는지 확인하고 다시 시도하세요.",
    errorRead: "이 파일에서 소리를 읽지 못했습니다.",
    errorLarge: "파일이 이 서버의 한도보다 큽니다. 나누어 올려 주세요.",
    errorBusy: "서버가 너무 바쁩니다. 잠시 뒤에 다시 시도하세요.",
    errorKey: "키가 없거나 틀립니다.",
    errorServer: "서버에 문제가 생겼습니다.",
    errorExample: "예시를 불러오지 못했습니다.",
    insecure: "이 주소는 보안 연결(https)이 아니어서 브라우저가 마이크를 막습니다. https 주소로, 또는 서버가 있는 컴퓨터에서 http://localhost 로 여세요. 파일은 지금도 올릴 수 있습니다.",
    missing: "마이크를 찾지 못했습니다. 마이크를 연결하고 다시 누르세요.",
    refused: "마이크를 쓰도록 허락되지 않았습니다. 주소창 왼쪽의 사이트 설정에서 마이크를 허용하고 다시 누르세요.",
    occupied: "마이크를 열지 못했습니다. 다른 프로그램이 쓰고 있으면 닫고 다시 누르세요.",
  },
  en: {
    title: "Speak, and it is written",
    lead: "Record, or drop sound and video files on this page.",
    language: "Language",
    record: "Start recording",
    stop: "Stop recording",
    chooseFiles: "Choose files",
    example: "Try an example",
    exampleName: "Example",
    liveName: "Recording {time}",
    dropHere: "Drop here",
    privacy: "Sound is recognised on this server only and is not kept. Closing the page discards the results.",
    settings: "Settings",
    model: "Model",
    terms: "Terms to favour",
    termsHint: "Names and technical terms, separated by commas or lines, are recognised more often.",
    termsCount: "{count} terms",
    again: "Recognise again",
    againAsk: "Your edits will be lost. Recognise again?",
    recordings: "Recordings and texts",
    waiting: "Waiting",
    busy: "The server is busy; sending again in {seconds} s",
    uploading: "Sending {percent}%",
    recognizing: "Recognising",
    recognizingShare: "Recognising {percent}%",
    live: "Listening",
    liveEmpty: "Speak: the text appears while you do.",
    provisional: "may still change",
    finishing: "Recognising the last words",
    failed: "Could not be recognised",
    nobody: "No speech was found in this recording.",
    quiet: "No sound arrives. Check that the microphone is on.",
    socketLost: "The live connection was lost. The recording goes on, and will be recognised at its end.",
    doubtfulCount: "{count} to check",
    doubtful: "check this",
    doubtfulTitle: "This may be wrong: listen, and correct it",
    lowWords: "Words of low confidence: {words}",
    legendLow: "dotted line",
    legendLowMeaning: "a word of low confidence",
    legendDoubtfulMeaning: "may be wrong (hatched in the waveform)",
    wordTitle: "confidence {percent}% · {time}",
    editedTitle: "edited · {time}",
    play: "Play",
    pause: "Pause",
    position: "Position",
    positionText: "{time} of {duration}",
    playFrom: "Play from {time}",
    unplayable: "This browser cannot play this format. The text is complete.",
    edit: "Edit",
    editLabel: "Edit the text at {time}",
    save: "Save",
    cancel: "Cancel",
    keys: "← → word by word · space to play · enter to edit",
    attention: "Show attention",
    attentionHide: "Hide attention",
    attentionLabel: "Picture of where in the sound each character was heard",
    attentionCaption: "When (across) the model listened for each character (down). The stronger the colour, the more.",
    copy: "Copy",
    copied: "Copied",
    copyFailed: "Could not be copied",
    download: "Download",
    downloadAs: "Download as {format}",
    sound: "sound",
    remove: "Remove",
    removeName: "Remove {name}",
    removed: "{name} was removed",
    done: "{name}: recognised",
    keyTitle: "An API key is needed",
    keyHint: "Enter the key that you were given for this server. It is forgotten when you close this tab.",
    keyLabel: "API key",
    enter: "Continue",
    retry: "Try again",
    errorNetwork: "The server cannot be reached. Check that it is running, and try again.",
    errorRead: "No sound could be read from this file.",
    errorLarge: "The file is larger than this server accepts. Send it in pieces.",
    errorBusy: "The server is too busy. Try again in a while.",
    errorKey: "The key is missing or wrong.",
    errorServer: "Something went wrong on the server.",
    errorExample: "The example could not be loaded.",
    insecure: "This address is no secure connection (https), so the browser blocks the microphone. Open the page by https, or as http://localhost on the server's own computer. Files can be sent as it is.",
    missing: "No microphone was found. Connect one, and press again.",
    refused: "The microphone is not allowed. Allow it in the site settings, left of the address, and press again.",
    occupied: "The microphone could not be opened. Close other programs that use it, and press again.",
  },
};

const preferred = (navigator.languages?.[0] ?? "").toLowerCase();
let language = remembered() ?? (preferred.startsWith("ko") ? "ko" : "en");
document.documentElement.lang = language;

export function languageNow() {
  return language;
}

export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  try {
    localStorage.setItem("language", chosen);
  } catch {
    // Storage may be forbidden. Then the choice lasts as long as the page.
  }
}

function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

export function text(name, values = {}) {
  return TEXTS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

// 3 -> 0:03, 3723 -> 1:02:03
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const pair = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${pair(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${pair(minutes % 60)}:${pair(whole % 60)}`;
}
