// The official client's library as a peer: answers the requests of src/apps/e2e_peer/README.md.
//   node official_peer.mjs PACKAGE_DIRECTORY
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const directory = process.argv[2];
const description = JSON.parse(readFileSync(join(directory, 'package.json')));
const imported = await import(pathToFileURL(join(directory, description.main)).href);
const L = imported.SessionRecord ? imported : imported.default;

// What differs between releases.
const hasKyber = L.KyberPreKeyStore !== undefined;
// Some functions of some releases take the address of the one who asks, too.
const takesOwnAddress = (call) => call.toString().split(')', 1)[0].includes('localAddress');

const octets = (hex) => Buffer.from(hex, 'hex');
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const sameKey = (a, b) => hex(a.serialize()) === hex(b.serialize());
const addressKey = (address) => `${address.name()}.${address.deviceId()}`;
const addressOf = ({ name, deviceId = 1 }) => L.ProtocolAddress.new(name, deviceId);
const publicKey = (text) => L.PublicKey.deserialize(octets(text));
const privateKey = (text) => L.PrivateKey.deserialize(octets(text));

class Sessions extends L.SessionStore {
  records = new Map();
  async saveSession(address, record) {
    this.records.set(addressKey(address), record.serialize());
  }
  async getSession(address) {
    const bytes = this.records.get(addressKey(address));
    return bytes ? L.SessionRecord.deserialize(bytes) : null;
  }
  async getExistingSessions(addresses) {
    return Promise.all(addresses.map((a) => this.getSession(a)));
  }
}

class Identities extends L.IdentityKeyStore {
  constructor(own, registrationId, trustAll) {
    super();
    Object.assign(this, { own, registrationId, trustAll, known: new Map() });
  }
  async getIdentityKey() {
    return this.own;
  }
  async getLocalRegistrationId() {
    return this.registrationId;
  }
  async getIdentity(address) {
    return this.known.get(addressKey(address)) ?? null;
  }
  async saveIdentity(address, key) {
    const old = this.known.get(addressKey(address));
    this.known.set(addressKey(address), key);
    const changed = old !== undefined && !sameKey(old, key);
    return L.IdentityChange ? Number(changed) : changed;
  }
  async isTrustedIdentity(address, key) {
    const old = this.known.get(addressKey(address));
    return this.trustAll || old === undefined || sameKey(old, key);
  }
}

// One class serves the three kinds of prekeys: their stores differ only in the names of methods.
function prekeyStore(Base, kind, events) {
  const records = new Map();
  const store = new (class extends Base {})();
  store[`save${kind}`] = async (id, record) => {
    records.set(id, record);
  };
  store[`get${kind}`] = async (id) => {
    if (!records.has(id)) throw new Error(`no ${kind} ${id}`);
    return records.get(id);
  };
  store[`remove${kind}`] = async (id) => {
    records.delete(id);
    events.push(`removePreKey ${id}`);
  };
  store[`mark${kind}Used`] = async (id) => {
    events.push(`markKyberPreKeyUsed ${id}`);
  };
  return store;
}

class SenderKeys extends L.SenderKeyStore {
  records = new Map();
  async saveSenderKey(address, id, record) {
    this.records.set(addressKey(address) + id, record.serialize());
  }
  async getSenderKey(address, id) {
    const bytes = this.records.get(addressKey(address) + id);
    return bytes ? L.SenderKeyRecord.deserialize(bytes) : null;
  }
}

class Peer {
  constructor(request) {
    this.name = request.name;
    this.deviceId = request.deviceId ?? 1;
    this.address = addressOf(request);
    const own = request.identityPrivate
      ? privateKey(request.identityPrivate)
      : L.PrivateKey.generate();
    const registrationId = request.registrationId ?? 1 + Math.floor(Math.random() * 16380);
    this.events = [];
    this.bundles = 0;
    this.sessions = new Sessions();
    this.identities = new Identities(own, registrationId, request.trustAll);
    this.senderKeys = new SenderKeys();
    this.preKeys = prekeyStore(L.PreKeyStore, 'PreKey', this.events);
    this.signedPreKeys = prekeyStore(L.SignedPreKeyStore, 'SignedPreKey', this.events);
    this.kyberPreKeys = hasKyber
      ? [prekeyStore(L.KyberPreKeyStore, 'KyberPreKey', this.events)]
      : [];
  }
  get own() {
    return this.identities.own;
  }
  ends(request, call) {
    return takesOwnAddress(call) ? [addressOf(request), this.address] : [addressOf(request)];
  }

  async makeBundle({ oneTime = true, kyber = true }) {
    const number = this.bundles++;
    const sign = (key) => this.own.sign(key.serialize());
    const signed = L.PrivateKey.generate();
    const bundle = {
      registrationId: this.identities.registrationId,
      deviceId: this.deviceId,
      identityKey: hex(this.own.getPublicKey().serialize()),
      signedPreKeyId: 22 + number,
      signedPreKey: hex(signed.getPublicKey().serialize()),
      signedPreKeySignature: hex(sign(signed.getPublicKey())),
    };
    await this.signedPreKeys.saveSignedPreKey(
      bundle.signedPreKeyId,
      L.SignedPreKeyRecord.new(
        bundle.signedPreKeyId,
        Date.now(),
        signed.getPublicKey(),
        signed,
        octets(bundle.signedPreKeySignature),
      ),
    );
    if (oneTime) {
      const key = L.PrivateKey.generate();
      bundle.preKeyId = 31337 + number;
      bundle.preKey = hex(key.getPublicKey().serialize());
      await this.preKeys.savePreKey(
        bundle.preKeyId,
        L.PreKeyRecord.new(bundle.preKeyId, key.getPublicKey(), key),
      );
    }
    if (kyber && hasKyber) {
      const keys = L.KEMKeyPair.generate();
      bundle.kyberPreKeyId = 7 + number;
      bundle.kyberPreKey = hex(keys.getPublicKey().serialize());
      bundle.kyberPreKeySignature = hex(sign(keys.getPublicKey()));
      await this.kyberPreKeys[0].saveKyberPreKey(
        bundle.kyberPreKeyId,
        L.KyberPreKeyRecord.new(
          bundle.kyberPreKeyId,
          Date.now(),
          keys,
          octets(bundle.kyberPreKeySignature),
        ),
      );
    }
    return bundle;
  }

  async process(request) {
    const b = request.bundle;
    const kyber =
      hasKyber && b.kyberPreKey
        ? [
            b.kyberPreKeyId,
            L.KEMPublicKey.deserialize(octets(b.kyberPreKey)),
            octets(b.kyberPreKeySignature),
          ]
        : [null, null, null];
    const bundle = L.PreKeyBundle.new(
      b.registrationId,
      b.deviceId,
      b.preKeyId ?? null,
      b.preKey === undefined ? null : publicKey(b.preKey),
      b.signedPreKeyId,
      publicKey(b.signedPreKey),
      octets(b.signedPreKeySignature),
      publicKey(b.identityKey),
      ...(hasKyber ? kyber : []),
    );
    await L.processPreKeyBundle(
      bundle,
      ...this.ends(request, L.processPreKeyBundle),
      this.sessions,
      this.identities,
    );
  }

  encrypt(request) {
    return L.signalEncrypt(
      octets(request.plaintext),
      ...this.ends(request, L.signalEncrypt),
      this.sessions,
      this.identities,
    );
  }

  decrypt(request) {
    const message = octets(request.message);
    if (request.type === L.CiphertextMessageType.PreKey) {
      return L.signalDecryptPreKey(
        L.PreKeySignalMessage.deserialize(message),
        ...this.ends(request, L.signalDecryptPreKey),
        this.sessions,
        this.identities,
        this.preKeys,
        this.signedPreKeys,
        ...this.kyberPreKeys,
      );
    }
    return L.signalDecrypt(
      L.SignalMessage.deserialize(message),
      ...this.ends(request, L.signalDecrypt),
      this.sessions,
      this.identities,
    );
  }

  groupEncrypt(request) {
    return L.groupEncrypt(
      this.address,
      request.distributionId,
      this.senderKeys,
      octets(request.plaintext),
    );
  }

  async seal(request) {
    const certificate = L.SenderCertificate.deserialize(octets(request.certificate));
    const contentOf = (message) =>
      L.UnidentifiedSenderMessageContent.new(
        message,
        certificate,
        request.contentHint ?? 0,
        request.groupId ? octets(request.groupId) : null,
      );
    if ((request.version ?? 1) === 1) {
      const content = contentOf(await this.encrypt(request));
      return {
        message: hex(await L.sealedSenderEncrypt(content, addressOf(request), this.identities)),
      };
    }
    const content = contentOf(await this.groupEncrypt(request));
    return {
      sent: hex(
        await L.sealedSenderMultiRecipientEncrypt(
          content,
          request.recipients.map(addressOf),
          this.identities,
          this.sessions,
        ),
      ),
    };
  }

  // The library opens and decrypts session messages in one call, others in two.
  async unseal(request) {
    const message = octets(request.message);
    const trustRoot = publicKey(request.trustRoot);
    const content = await L.sealedSenderDecryptToUsmc(message, this.identities);
    const certificate = content.senderCertificate();
    const out = {
      senderName: certificate.senderUuid(),
      senderDeviceId: certificate.senderDeviceId(),
      type: content.msgType(),
      contentHint: content.contentHint(),
      groupId: hex(content.groupId() ?? []),
    };
    if (content.msgType() !== L.CiphertextMessageType.SenderKey) {
      const opened = await L.sealedSenderDecryptMessage(
        message,
        trustRoot,
        request.timestamp,
        null,
        this.name,
        this.deviceId,
        this.sessions,
        this.identities,
        this.preKeys,
        this.signedPreKeys,
        ...this.kyberPreKeys,
      );
      return { ...out, plaintext: hex(opened.message()) };
    }
    if (!certificate.validate(trustRoot, request.timestamp))
      throw new Error('the certificate is not valid');
    const sender = L.ProtocolAddress.new(certificate.senderUuid(), certificate.senderDeviceId());
    return {
      ...out,
      plaintext: hex(await L.groupDecrypt(sender, this.senderKeys, content.contents())),
    };
  }
}

const peers = new Map();
const peerOf = (request) => {
  if (!peers.has(request.peer)) throw new Error('no such peer');
  return peers.get(request.peer);
};

const operations = {
  version: () => ({ version: description.version }),
  new(request) {
    const peer = new Peer(request);
    peers.set(request.peer, peer);
    return {
      identityPublic: hex(peer.own.getPublicKey().serialize()),
      registrationId: peer.identities.registrationId,
    };
  },
  bundle: async (request) => ({ bundle: await peerOf(request).makeBundle(request) }),
  process: async (request) => {
    await peerOf(request).process(request);
    return {};
  },
  async encrypt(request) {
    const sent = await peerOf(request).encrypt(request);
    return { type: sent.type(), message: hex(sent.serialize()) };
  },
  async decrypt(request) {
    const peer = peerOf(request);
    peer.events.length = 0;
    const plaintext = hex(await peer.decrypt(request));
    return { plaintext, events: [...peer.events] };
  },
  async skdm(request) {
    const peer = peerOf(request);
    return {
      message: hex(
        (
          await L.SenderKeyDistributionMessage.create(
            peer.address,
            request.distributionId,
            peer.senderKeys,
          )
        ).serialize(),
      ),
    };
  },
  async processSkdm(request) {
    await L.processSenderKeyDistributionMessage(
      addressOf(request),
      L.SenderKeyDistributionMessage.deserialize(octets(request.message)),
      peerOf(request).senderKeys,
    );
    return {};
  },
  groupEncrypt: async (request) => ({
    message: hex((await peerOf(request).groupEncrypt(request)).serialize()),
  }),
  groupDecrypt: async (request) => ({
    plaintext: hex(
      await L.groupDecrypt(addressOf(request), peerOf(request).senderKeys, octets(request.message)),
    ),
  }),
  fingerprint(request) {
    const made = L.Fingerprint.new(
      request.iterations,
      request.version,
      octets(request.localId),
      publicKey(request.localKey),
      octets(request.remoteId),
      publicKey(request.remoteKey),
    );
    return {
      displayable: made.displayableFingerprint().toString(),
      scannable: hex(made.scannableFingerprint().toBuffer()),
    };
  },
  keyPair() {
    const key = L.PrivateKey.generate();
    return { privateKey: hex(key.serialize()), publicKey: hex(key.getPublicKey().serialize()) };
  },
  sign: (request) => ({
    signature: hex(privateKey(request.privateKey).sign(octets(request.message))),
  }),
  verify: (request) => ({
    valid: publicKey(request.publicKey).verify(octets(request.message), octets(request.signature)),
  }),
  serverCertificate: (request) => ({
    certificate: hex(
      L.ServerCertificate.new(
        request.serverId,
        publicKey(request.publicKey),
        privateKey(request.trustRootPrivate),
      ).serialize(),
    ),
  }),
  senderCertificate: (request) => ({
    certificate: hex(
      L.SenderCertificate.new(
        request.name,
        null,
        request.deviceId ?? 1,
        publicKey(request.identityKey),
        request.expires,
        L.ServerCertificate.deserialize(octets(request.serverCertificate)),
        privateKey(request.serverPrivate),
      ).serialize(),
    ),
  }),
  sealedEncrypt: (request) => peerOf(request).seal(request),
  sealedSplit: (request) => ({
    recipients: [
      { message: hex(L.sealedSenderMultiRecipientMessageForSingleRecipient(octets(request.sent))) },
    ],
  }),
  sealedDecrypt: (request) => peerOf(request).unseal(request),
};

for await (const line of createInterface({ input: process.stdin })) {
  let id;
  try {
    const request = JSON.parse(line);
    id = request.id;
    if (request.op === 'quit') break;
    console.log(JSON.stringify({ id, ok: true, ...(await operations[request.op](request)) }));
  } catch (error) {
    console.log(
      JSON.stringify({
        id,
        ok: false,
        error: String(error.message),
        name: error.name,
        code: error.code,
      }),
    );
  }
}
process.exit(0);
