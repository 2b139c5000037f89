// A peer program as a child process: one JSON object a line, in and out.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class PeerError extends Error {
  constructor(answer) {
    super(answer.error);
    Object.assign(this, { name: answer.name, code: answer.code });
  }
}

export class PeerProcess {
  constructor(command, args) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.waiting = [];
    this.child.on('error', (error) => this.#fail(error));
    this.child.on('exit', (code) => this.#fail(new Error(`${command} ended with ${code}`)));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const { resolve, reject } = this.waiting.shift();
      const answer = JSON.parse(line);
      if (answer.ok) resolve(answer);
      else reject(new PeerError(answer));
    });
  }
  #fail(error) {
    this.dead = error;
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }
  // Answers come in the order of the requests.
  ask(op, fields = {}) {
    if (this.dead) return Promise.reject(this.dead);
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.stdin.write(`${JSON.stringify({ op, ...fields })}\n`);
    });
  }
  stop() {
    this.child.removeAllListeners('exit');
    this.child.stdin.end();
  }
}
