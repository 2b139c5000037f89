// Every bound in one place, each with its reason. Sizes in bytes unless named otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace godwit::limits {

// ---- what people type
inline constexpr std::size_t kMaxText = 64 * 1024;  // the longest text message, UTF-8

// ---- frames (proto/frame.h)
inline constexpr std::size_t kMaxFrame = 1024 * 1024;  // caps a peer's buffer before any check
inline constexpr std::size_t kMaxNoiseMessage = 65535;   // Noise specification, section 3
inline constexpr std::size_t kMaxHandshake = 1024;  // XX with empty payloads needs 200

// ---- submitting and delivering
inline constexpr std::size_t kMaxBatchMessages = 128;  // one round trip's worth of a busy chat
inline constexpr std::size_t kMaxBatchBytes = 256 * 1024;  // keeps a batch well inside a frame
inline constexpr std::size_t kMaxCiphertext = 80 * 1024;  // kMaxText with padding and headers
inline constexpr std::size_t kMaxHint = 4096;  // ciphertext of a hint: a first message's headers
inline constexpr std::size_t kMaxDevices = 8;  // per account: a phone and seven companions
inline constexpr std::size_t kDeliverWindow = 512;  // envelopes pushed and not yet acknowledged
inline constexpr std::size_t kDeliverWindowBytes = 1024 * 1024;  // the same, in bytes

// ---- sealed sender
inline constexpr Duration kCertificateLifetime = hours(24);  // how long a lost device is believed
inline constexpr Duration kCertificateReuse = hours(23);  // with more left, none is signed anew
inline constexpr Duration kCertificateRenewal = hours(12);  // with less left, a client asks
inline constexpr Duration kCertificateRetry = minutes(1);  // after a refusal
inline constexpr std::uint32_t kUnsealTries = 4;  // deliveries of what cannot be opened: damaged?
inline constexpr std::size_t kVouchedCertificates = 256;  // remembered: 8 KiB
inline constexpr Duration kNamelessIdle = minutes(1);  // then that connection is closed
inline constexpr std::size_t kMaxCertificate = 1024;  // 300 octets; room for longer names
inline constexpr std::uint32_t kSealedRequests = 3000;  // of one connection: as fast as a phone ...
inline constexpr Duration kSealedWindow = minutes(1);  // ... within this time

// ---- mailboxes
inline constexpr std::size_t kMailboxEnvelopes = 20000;  // a month of 650 a day
inline constexpr std::size_t kMailboxBytes = 64 * 1024 * 1024;  // per device, on disk
// Of these, what courtesies may fill: a large group's receipts leave the rest to messages.
inline constexpr std::size_t kMailboxCourtesyEnvelopes = kMailboxEnvelopes / 2;
inline constexpr std::size_t kMailboxCourtesyBytes = kMailboxBytes / 2;
inline constexpr Duration kMailboxRetention = days(30);
// For a connected device's acknowledgement, before what it was sent is stored: a mobile round trip.
inline constexpr Duration kWriteBehind = milliseconds(200);

// ---- groups
inline constexpr std::size_t kGroupMembers = 1024;  // each costs the others a session
// Members, and people who wait, that come with their number: those after them stay without, for a
// number costs a look-up.
inline constexpr std::size_t kGroupIntroductions = 128;
inline constexpr std::size_t kGroupIntroduction = 64;  // a number, sealed: 12 + 16 + 16
inline constexpr std::size_t kGroupPending = 256;  // who wait to be let in
inline constexpr std::size_t kMaxGroupInfo = 16 * 1024;  // sealed: name, description, a thumbnail
inline constexpr std::size_t kMaxGroupState =
    128 * 1024;  // 1,024 members of 60 octets, 256 introductions, and the rest
inline constexpr std::size_t kMaxTransition = kMaxCiphertext;  // travels as one
inline constexpr std::size_t kGroupHistory = 2048;  // changes kept for members who were away ...
inline constexpr std::size_t kGroupHistoryPage = 64;  // ... handed out so many at a time ...
inline constexpr std::size_t kGroupHistoryBytes = 256 * 1024;  // ... or so much
inline constexpr std::size_t kFanouts = 1024;  // accepted by one group and not with all members ...
inline constexpr std::size_t kFanoutBytes = 16 * 1024 * 1024;  // ... in octets; then: kFull
inline constexpr std::size_t kFanoutsAtOnce = 256;  // members served at a time: bounds the bus
inline constexpr std::size_t kFanoutBatch = 32;  // envelopes in one message to an account ...
inline constexpr std::size_t kFanoutBatchBytes = 256 * 1024;  // ... and their octets
// An account that did not answer, or whose mailbox is full, is asked again: first after this ...
inline constexpr Duration kFanoutRetry = seconds(4);
inline constexpr Duration kFanoutLongest = minutes(1);  // ... then ever more rarely, up to this ...
// ... while a mailbox is full so often, ten minutes in all; then the member asks the sender.
inline constexpr std::uint32_t kFanoutTries = 16;

// ---- rows (ports/store.h)
inline constexpr std::size_t kMaxPartition = 128;  // a kind and a few ids
inline constexpr std::size_t kMaxKey = 1024;
inline constexpr std::size_t kMaxValue = 4 * 1024 * 1024;  // four of the largest frames

// ---- between shards (ports/bus.h)
inline constexpr std::size_t kBusQueue = 65536;  // messages to one shard; more are dropped

// ---- what waits for the store and the gateway, for all shards of a process
inline constexpr std::size_t kStoreQueueJobs = 65536;  // beyond: kUnavailable, clients retry
inline constexpr std::size_t kStoreQueueBytes = 64 * 1024 * 1024;  // a second of a busy disk
inline constexpr std::size_t kCodeQueue = 1024;

// ---- registration
inline constexpr Duration kCodeLifetime = minutes(10);
inline constexpr std::uint32_t kCodeAttempts = 5;  // 5 of 10^6 guesses per code
inline constexpr std::uint32_t kCodesPerWindow = 5;  // codes sent to one number ...
inline constexpr Duration kCodeWindow = minutes(10);  // ... within this time

// ---- prekeys
inline constexpr std::size_t kMaxOneTimePrekeys = 200;  // stored per device
inline constexpr std::size_t kPrekeyBatch = 100;  // made and uploaded at a time
inline constexpr std::size_t kPrekeyLowWater = 20;  // below: the device is asked for more
inline constexpr std::size_t kMaxKemPrekeys = 64;  // stored per device: 105 KiB on disk
inline constexpr std::size_t kKemPrekeyBatch = 32;  // 52 KiB in a frame
inline constexpr std::size_t kKemPrekeyLowWater = 8;
inline constexpr std::uint32_t kBundleFetches = 20;  // one-time keys per requester and target ...
inline constexpr Duration kBundleWindow = hours(1);  // ... within this time; then none is given

// ---- directory look-ups (enumeration)
inline constexpr std::uint32_t kLookups = 2000;  // per account: a full group, and as many more ...
inline constexpr Duration kLookupWindow = hours(24);  // ... within this time

// ---- end-to-end sessions (the protocol's own limits: both sides must agree on the first two)
inline constexpr std::uint32_t kForwardJump = 25000;  // messages lost in a row; bounds the work
// The same between devices of one account, where libsignal has no limit: seconds of work for what
// only an own device, or whoever carries its messages, could cause.
inline constexpr std::uint32_t kForwardJumpToSelf = 1'000'000;
inline constexpr std::size_t kSkippedSeeds = 2000;  // late messages still readable, per chain
inline constexpr std::size_t kReceivingChains = 5;  // ratchet steps behind that still decrypt
inline constexpr std::size_t kSenderKeyChains = 5;  // of one sender: rotations behind
inline constexpr std::size_t kArchivedSessions = 40;  // after reinstalls and simultaneous starts
inline constexpr std::size_t kMaxSessionRecord = 1024 * 1024;  // two full sessions; old ones go
inline constexpr Duration kUnacknowledgedSession = days(30);  // then start anew
inline constexpr std::size_t kSealedRecipients = 1024;  // users of one sealed message: a group

// ---- attachments (e2e/attachment.h; the first two are part of the format)
inline constexpr std::size_t kAttachmentChunk = 64 * 1024;  // what a seek costs
inline constexpr std::uint64_t kAttachmentFloor = 1024;  // smaller ones all look like this
inline constexpr std::uint64_t kMaxAttachment = 2048ull * 1024 * 1024;  // an hour of good video

// ---- connections
inline constexpr Duration kHandshakeTimeout = seconds(10);
inline constexpr Duration kPingInterval = seconds(25);  // at first: below any NAT's 30 s
inline constexpr Duration kPingMost = seconds(270);  // below the 5 min of most; grown into
inline constexpr Duration kPingMemory = hours(24);  // of a silence that a connection died of
inline constexpr Duration kIdleTimeout = minutes(10);  // two of the rarest pings missed
inline constexpr Duration kRequestTimeout = seconds(15);  // then the connection counts as dead
inline constexpr Duration kCloseGrace = seconds(5);  // for the last octets to leave
inline constexpr std::size_t kSendQueueBytes = 4 * 1024 * 1024;  // then a slow reader is cut

// ---- fairness and overload, for each loop of a server
inline constexpr std::size_t kInboundPerTurn = 64 * 1024;  // one read: a full Noise record fits
inline constexpr std::uint32_t kFramesPerTurn = 32;  // of one connection: 1 ms of the others' time
inline constexpr std::uint32_t kHandshakesPerTurn = 4;  // 0.2 ms each, before others have a turn
inline constexpr std::size_t kHandshakesWaiting = 2048;  // half a second's worth ...
inline constexpr std::size_t kHandshakesPerNetwork = 256;  // ... for eight networks at least
inline constexpr std::size_t kMutationsPerCommit = 256;  // of messages that one write stores
inline constexpr Duration kOverloaded = seconds(1);  // what a commit took: submits are refused ...
inline constexpr std::size_t kOverloadedUses = 1024;  // ... while so many wait for the store
// Until a client is heard; more, and submits are refused. Acknowledgements come late by as much,
// and what they come for must not have been stored meanwhile: a quarter of kWriteBehind.
inline constexpr Duration kShedTarget = milliseconds(50);
inline constexpr Duration kShedInterval = milliseconds(20);  // between two looks at it
inline constexpr std::int64_t kShedLeast = 16;  // one served in so many is a submit, come what may
inline constexpr Duration kLateSend = milliseconds(250);  // refusals gather for so long
inline constexpr Duration kOverloadRetry = seconds(2);  // when a refused client comes again

// ---- groups, as their members keep them
inline constexpr std::size_t kGroupSentItems = 1024;  // said to groups, kept for members who ask
inline constexpr std::size_t kGroupSentBytes = 8 * 1024 * 1024;
inline constexpr std::size_t kGroupHeld = 512;  // that come before what is to be known of the group
inline constexpr std::size_t kGroupRules =
    64;  // changes of who may do what, for acts said before them
inline constexpr Duration kChainRenewal = minutes(10);  // of a group's chain, at others' word
inline constexpr Duration kGroupGathering = seconds(5);  // who are added together are asked for
inline constexpr Duration kGroupDoubt = minutes(1);  // between two looks for changes missed
inline constexpr std::size_t kGroupName = 100;
inline constexpr std::size_t kGroupDescription = 2048;
inline constexpr std::size_t kGroupPicture = 12 * 1024;  // what the info leaves for it
inline constexpr Duration kJoinPoll = seconds(30);  // while an admin has yet to let one in

// ---- client
inline constexpr Duration kTypingRepeats = seconds(3);  // while somebody goes on typing ...
inline constexpr Duration kTypingFades = seconds(7);  // ... and when the other side hides it again
inline constexpr std::size_t kTypingMembers = 32;  // a hint to each; in larger groups none
inline constexpr std::size_t kOutboxMessages = 200000;  // composing offline ...
inline constexpr std::size_t kOutboxBytes = 256 * 1024 * 1024;  // ... all of it in memory
inline constexpr std::size_t kContacts = 100000;  // strangers may write; ~300 octets each
inline constexpr std::size_t kMissingNumbers = 256;  // gaps remembered per sender
inline constexpr std::size_t kAwaitedReceipts = 50000;  // own messages that may still advance
inline constexpr std::size_t kUnreadPerChat = 10000;  // beyond: no read receipt for the oldest
inline constexpr std::size_t kReceiptsPerContact = 256;  // queued; their mailbox may be full
// Of a group's members together, to one writer: each gathers its own for so long.
inline constexpr std::uint32_t kReceiptsPerSecond = 10;
inline constexpr Duration kReceiptsPutOff = minutes(30);  // while their mailbox has no room for any
inline constexpr std::size_t kSubmitsInFlight = 16;  // recipients served at the same time
inline constexpr std::size_t kLookupsInFlight = 16;
inline constexpr std::uint32_t kLookupTries = 3;  // then a stranger's message is shown without one
inline constexpr std::size_t kHistoryPage = 1000;
inline constexpr std::size_t kPrivatePrekeys = 1000;  // some are fetched and never used
inline constexpr std::size_t kLastResortUses = 4096;  // remembered, so that none is replayed
inline constexpr Duration kSignedPrekeyLifetime = days(7);
inline constexpr Duration kSignedPrekeyGrace = days(30);  // a late first message still opens

// ---- what people do with messages (WhatsApp's numbers, where it has any)
inline constexpr std::size_t kMaxSnippet = 512;  // of a quoted text, of a preview
inline constexpr std::size_t kMaxUrl = 2048;
inline constexpr std::size_t kMaxName = 256;
inline constexpr std::size_t kMaxReaction = 64;  // one emoji, however many code points
inline constexpr std::size_t kMentions = 64;
inline constexpr std::size_t kPollOptions = 12;
inline constexpr std::size_t kForwardChats = 5;  // at a time ...
inline constexpr std::uint32_t kManyForwards = 5;  // ... and one when it went so far already
inline constexpr std::size_t kPins = 3;  // per chat
inline constexpr std::size_t kBroadcastNumbers = 256;
inline constexpr std::size_t kBroadcastLists = 256;
inline constexpr Duration kEditWindow = minutes(15);
inline constexpr Duration kDeleteWindow = days(2);
inline constexpr Duration kClockTolerance = minutes(2);  // of others' clocks, for the two above
inline constexpr std::size_t kTargets = 20000;  // messages young enough to be deleted, remembered
inline constexpr std::size_t kWaitingActs = 1024;  // for messages that have not come
inline constexpr Duration kLongestLifetime = days(365);
inline constexpr std::size_t kSearchResults = 1000;

// ---- healing: asking for what could not be read, and sending it again
inline constexpr std::size_t kSentItems = 2000;  // accepted, not confirmed, kept to be sent again
inline constexpr std::size_t kSentBytes = 32 * 1024 * 1024;  // all of it in memory
inline constexpr Duration kSentLifetime = days(7);
inline constexpr std::uint64_t kSentReceipts = 32;  // of them receipts, per person: nobody confirms
inline constexpr std::uint64_t kRepeatHorizon = 2000;  // contents later nothing is repeated ...
inline constexpr std::size_t kRecentContents = 2048;  // ... so these, remembered, are all it takes
inline constexpr std::uint32_t kRepeatRounds = 8;  // of one message: four hours, if all fail
inline constexpr std::uint32_t kRepeatsAtOnce =
    2;  // asked for, after the first time and each round
inline constexpr Duration kReceiptGrace = minutes(2);  // for a receipt of somebody who is there
inline constexpr Duration kLongestGrace = minutes(32);  // where each round takes four times as long
inline constexpr std::uint32_t kRetryRequests = 512;  // per person and window: a full delivery
inline constexpr std::uint32_t kSessionResets = 8;  // per person and window, at others' word
inline constexpr Duration kHealingWindow = hours(1);
inline constexpr std::size_t kPrekeyRenewals = 3;  // per window, because they seem to be lost
inline constexpr std::size_t kHealingPeers = 1024;  // counted at a time
inline constexpr std::size_t kRetryRequestsQueued = 4096;  // to everybody

inline constexpr Duration kMaxRetryAfter = hours(24);  // that a server may ask for
inline constexpr Duration kBackoffFirst = milliseconds(250);
inline constexpr Duration kBackoffMax = seconds(60);

}  // namespace godwit::limits
