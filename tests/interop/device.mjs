// A device under test: one peer of one program.
import { randomUUID } from 'node:crypto';

let made = 0;

export class Device {
  static async make(program, fields = {}) {
    const device = new Device();
    Object.assign(device, { program, peer: `p${++made}`, name: randomUUID() });
    Object.assign(device, await device.ask('new', { name: device.name, ...fields }));
    return device;
  }
  ask(op, fields = {}) {
    return this.program.ask(op, { peer: this.peer, ...fields });
  }
  async start(other) {
    const { bundle } = await other.ask('bundle');
    await this.ask('process', { name: other.name, bundle });
  }
  encrypt(other, plaintext) {
    return this.ask('encrypt', { name: other.name, plaintext });
  }
  async decrypt(from, { type, message }) {
    return (await this.ask('decrypt', { name: from.name, type, message })).plaintext;
  }
}
