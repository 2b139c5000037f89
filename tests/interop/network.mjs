// An unreliable line in one direction: reorders within a window, duplicates, loses.

// Reproducible numbers (mulberry32) in [0, 1).
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const kWindow = 50;
const kReceivingChains = 5;

export class Line {
  constructor(random, { loss = 0.02, duplication = 0.05 } = {}) {
    Object.assign(this, {
      random,
      loss,
      duplication,
      flying: [],
      chains: [],
      lost: 0,
      duplicated: 0,
    });
  }
  // `chain` names the sender's ratchet key, if there is one.
  send(item, chain) {
    if (this.random() < this.loss) {
      this.lost += 1;
      return;
    }
    this.flying.push({ item, chain });
    if (this.random() < this.duplication) {
      this.duplicated += 1;
      this.flying.push({ item, chain });
    }
  }
  get empty() {
    return this.flying.length === 0;
  }
  // The next to arrive: any of the first fifty. But a receiver keeps five receiving chains only, so
  // what belongs to the oldest arrives before a sixth begins.
  next() {
    let at = Math.floor(this.random() * Math.min(kWindow, this.flying.length));
    if (!this.chains.includes(this.flying[at].chain)) {
      if (this.chains.length === kReceivingChains) {
        const due = this.flying.findIndex(({ chain }) => chain === this.chains[0]);
        if (due < 0) this.chains.shift();
        else at = due;
      }
      if (!this.chains.includes(this.flying[at].chain)) this.chains.push(this.flying[at].chain);
    }
    return this.flying.splice(at, 1)[0].item;
  }
}
