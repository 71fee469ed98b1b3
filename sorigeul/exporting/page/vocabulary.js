// Units to text, as of sorigeul/text/vocabulary.py: those of a bpe vocabulary have several characters.

export class Vocabulary {
  // The content of vocabulary.json
  constructor({ kind, units }) {
    const ids = new Map(units.map((unit, id) => [unit, id]));
    Object.assign(this, { units, ids, isBpe: kind === "bpe" });
  }

  // The ids of the characters that units spell, without the space before the first word
  spell(tokens) {
    if (!this.isBpe) return tokens;
    const spelled = tokens.map((token) => this.units[token]).join("");
    return [...spelled.replace(/^ /, "")].map((character) => this.ids.get(character));
  }

  decode(tokens) {
    const text = tokens.map((token) => this.units[token]).join("");
    return text.normalize("NFC").trim();
  }
}
