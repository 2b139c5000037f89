// What two devices must manage, whoever wrote them. Each throws on the first difference.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { Device } from './device.mjs';
import { Line } from './network.mjs';

const text = (random) => randomBytes(Math.floor(random() ** 3 * 2000)).toString('hex');

async function refused(promise, name, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, name, error.message);
    assert.equal(error.code, code);
    return true;
  });
}

// Reads what arrives: new messages exactly, repeated ones as duplicates.
class Inbox {
  constructor() {
    Object.assign(this, { seen: new Set(), read: 0, refused: 0 });
  }
  async accept(sent, decrypt) {
    if (this.seen.has(sent)) {
      await refused(decrypt(sent), 'DuplicatedMessage', 1);
      this.refused += 1;
      return;
    }
    assert.equal(await decrypt(sent), sent.plaintext);
    this.seen.add(sent);
    this.read += 1;
  }
}

// The ratchet key in a message: field 1 of the SignalMessage, which a first message has in field 4.
function ratchetKey({ type, message }) {
  let bytes = Buffer.from(message, 'hex').subarray(1);
  if (type === 3) bytes = field(bytes, 4).subarray(1);
  return field(bytes, 1).toString('hex');
}

function field(bytes, wanted) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const octet = bytes[at++];
      value += (octet & 127) * 2 ** shift;
      if (octet < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = (tag & 7) === 2 ? varint() : 0;
    if (tag >> 3 === wanted) return bytes.subarray(at, at + length);
    if ((tag & 7) === 0) varint();
    at += length;
  }
  throw new Error(`no field ${wanted}`);
}

// `count` messages each way over lines that reorder, duplicate and lose. `starters` open a session.
export async function conversation(a, b, starters, count, random) {
  for (const [from, to] of starters) await from.start(to);
  const ways = [
    [a, b],
    [b, a],
  ].map(([from, to]) => ({ from, to, line: new Line(random), inbox: new Inbox(), sent: 0 }));
  const send = async (way) => {
    const plaintext = text(random);
    const sent = { plaintext, ...(await way.from.encrypt(way.to, plaintext)) };
    way.line.send(sent, ratchetKey(sent));
    way.sent += 1;
  };
  const canSend = new Set(starters.map(([from]) => from));
  // Whoever starts says something; both at once if both start.
  for (const way of ways) if (canSend.has(way.from)) await send(way);
  while (ways.some((way) => way.sent < count || !way.line.empty)) {
    const way = ways[random() < 0.5 ? 0 : 1];
    if (!way.line.empty && (way.sent >= count || random() < 0.55)) {
      await way.inbox.accept(way.line.next(), (sent) => way.to.decrypt(way.from, sent));
      canSend.add(way.to);
    } else if (way.sent < count && canSend.has(way.from)) {
      // People write several messages at a time, which keeps many of one chain in flight.
      for (let i = Math.ceil(random() * 30); i > 0 && way.sent < count; --i) await send(way);
    }
  }
  const sum = (f) => ways.reduce((total, way) => total + f(way), 0);
  return (
    `${sum((w) => w.inbox.read)} read, ${sum((w) => w.line.lost)} lost, ` +
    `${sum((w) => w.inbox.refused)} duplicates refused`
  );
}

// A group of both, encrypting `count` messages each.
export async function group(a, b, count, random) {
  const results = [];
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    const distributionId = randomUUID();
    await assert.rejects(from.ask('groupEncrypt', { distributionId, plaintext: '' }));
    const { message } = await from.ask('skdm', { distributionId });
    await to.ask('processSkdm', { name: from.name, message });
    const line = new Line(random);
    const inbox = new Inbox();
    const decrypt = async (sent) =>
      (await to.ask('groupDecrypt', { name: from.name, message: sent.message })).plaintext;
    for (let sent = 0; sent < count || !line.empty;) {
      if (sent < count && (line.empty || random() < 0.5)) {
        const plaintext = text(random);
        line.send({
          plaintext,
          ...(await from.ask('groupEncrypt', { distributionId, plaintext })),
        });
        sent += 1;
      } else {
        await inbox.accept(line.next(), decrypt);
      }
    }
    // Told once more, nobody goes back.
    await to.ask('processSkdm', { name: from.name, message });
    for (const sent of [...inbox.seen].slice(0, 3)) await inbox.accept(sent, decrypt);
    results.push(inbox.read);
  }
  return `${results.join(' + ')} read`;
}

export async function fingerprints(ours, theirs, rounds) {
  for (let i = 0; i < rounds; ++i) {
    const [local, remote] = [await ours.ask('keyPair'), await theirs.ask('keyPair')];
    const request = {
      iterations: 5200,
      version: 1 + (i % 2),
      localId: randomBytes(16).toString('hex'),
      localKey: local.publicKey,
      remoteId: randomBytes(12).toString('hex'),
      remoteKey: remote.publicKey,
    };
    const mine = await ours.ask('fingerprint', request);
    assert.deepEqual({ ...mine, id: 0 }, { ...(await theirs.ask('fingerprint', request)), id: 0 });
    const mirrored = await theirs.ask('fingerprint', {
      ...request,
      localId: request.remoteId,
      localKey: request.remoteKey,
      remoteId: request.localId,
      remoteKey: request.localKey,
    });
    assert.equal(mirrored.displayable, mine.displayable);
  }
  return `${rounds} equal`;
}

export async function signatures(ours, theirs, rounds, random) {
  for (let i = 0; i < rounds; ++i) {
    for (const [signer, verifier] of [
      [ours, theirs],
      [theirs, ours],
    ]) {
      const { privateKey, publicKey } = await signer.ask('keyPair');
      const message = text(random);
      const { signature } = await signer.ask('sign', { privateKey, message });
      for (const who of [signer, verifier]) {
        assert.equal((await who.ask('verify', { publicKey, message, signature })).valid, true);
        assert.equal(
          (await who.ask('verify', { publicKey, message: `${message}00`, signature })).valid,
          false,
        );
      }
    }
  }
  return `${2 * rounds} verified by both`;
}

// Sealed messages each way, with certificates of either's making.
export async function sealedSender(a, b, version, rounds, random) {
  let read = 0;
  for (const [from, to] of [
    [a, b],
    [b, a],
  ]) {
    await from.start(to);
    for (const authority of [a, b]) {
      const [root, server] = [await authority.ask('keyPair'), await authority.ask('keyPair')];
      const { certificate: serverCertificate } = await authority.ask('serverCertificate', {
        serverId: 1,
        publicKey: server.publicKey,
        trustRootPrivate: root.privateKey,
      });
      const { certificate } = await authority.ask('senderCertificate', {
        name: from.name,
        identityKey: from.identityPublic,
        expires: 2_000_000,
        serverCertificate,
        serverPrivate: server.privateKey,
      });
      const distributionId = randomUUID();
      const { message: skdm } = await from.ask('skdm', { distributionId });
      await to.ask('processSkdm', { name: from.name, message: skdm });
      for (let i = 0; i < rounds; ++i) {
        const plaintext = text(random);
        const sealed = await from.ask('sealedEncrypt', {
          version,
          certificate,
          plaintext,
          name: to.name,
          distributionId,
          recipients: [{ name: to.name }],
          contentHint: i % 3,
          groupId: '0102',
        });
        // Either side's server code takes the form for many apart.
        const message =
          sealed.message ??
          (await authority.ask('sealedSplit', { sent: sealed.sent })).recipients[0].message;
        const open = { message, trustRoot: root.publicKey, timestamp: 1_000_000 };
        await assert.rejects(to.ask('sealedDecrypt', { ...open, timestamp: 2_000_001 }));
        await assert.rejects(to.ask('sealedDecrypt', { ...open, trustRoot: server.publicKey }));
        const opened = await to.ask('sealedDecrypt', open);
        assert.equal(opened.plaintext, plaintext);
        assert.equal(opened.senderName, from.name);
        assert.equal(opened.senderDeviceId, 1);
        assert.equal(opened.contentHint, i % 3);
        assert.equal(opened.groupId, '0102');
        read += 1;
      }
    }
  }
  return `${read} opened`;
}

// Somebody who comes back with other keys is refused by both until accepted.
export async function changedIdentity(ours, theirs, make) {
  for (const [keeper, changer] of [
    [ours, theirs],
    [theirs, ours],
  ]) {
    const [a, old] = [await make(keeper), await make(changer)];
    await old.start(a);
    await a.decrypt(old, await old.encrypt(a, '00'));
    const now = await make(changer, { name: old.name });
    now.name = old.name;
    await now.start(a);
    await refused(a.decrypt(now, await now.encrypt(a, '01')), 'UntrustedIdentity', 3);
    await refused(a.start(now), 'UntrustedIdentity', 3);
    assert.ok(await a.encrypt(old, '02'));
  }
  return 'refused by both';
}

// Our device is written out and read back in the middle of things.
export async function exportedState(ours, theirs) {
  await theirs.start(ours);
  const early = await theirs.encrypt(ours, '01');
  await ours.decrypt(theirs, await theirs.encrypt(ours, '02'));
  const { state } = await ours.ask('export');
  const moved = await Device.make(ours.program);
  await moved.ask('import', { state });
  moved.name = ours.name;
  assert.equal(await moved.decrypt(theirs, early), '01');
  await refused(moved.decrypt(theirs, early), 'DuplicatedMessage', 1);
  assert.equal(await theirs.decrypt(moved, await moved.encrypt(theirs, '03')), '03');
  return 'goes on';
}

// A product speaks one protocol: whoever has only older ones is refused, whoever starts.
export async function olderPeer(ours, theirs) {
  await theirs.start(ours);
  const sent = await theirs.encrypt(ours, '00');
  await assert.rejects(ours.decrypt(theirs, sent), (error) => {
    assert.ok(['Unsupported', 'Corrupt'].includes(error.name), error.stack);
    return true;
  });
  return 'refused';
}
