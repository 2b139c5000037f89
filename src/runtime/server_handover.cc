// ServerLoop's part in a handover to another process (runtime/handover.h).
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "crypto/secret.h"
#include "runtime/handover.h"
#include "runtime/server_loop.h"

namespace godwit::runtime {

namespace {

constexpr Duration kPatience = seconds(20);   // with the other process
constexpr Duration kNextLook = milliseconds(1);
constexpr Error kMisread{Code::kCorrupt, "the handover is damaged"};

Bytes one(LoopWord word) { return {static_cast<std::uint8_t>(word)}; }

// A file in memory, given up with everything in it.
Result<int> memory_file(ByteView octets) {
  const int fd = memfd_create("godwit-snapshot", MFD_CLOEXEC);
  if (fd < 0) return fail(Code::kIo, "no descriptor left for an upgrade: raise ulimit -n");
  while (!octets.empty()) {
    const ssize_t written = write(fd, octets.data(), octets.size());
    if (written <= 0) {
      close(fd);
      return fail(Code::kIo, "no memory left for an upgrade");
    }
    octets = octets.subspan(static_cast<std::size_t>(written));
  }
  return fd;
}

Result<crypto::SecretBytes> read_memory_file(int fd) {
  const off_t size = lseek(fd, 0, SEEK_END);
  Bytes octets(size > 0 ? static_cast<std::size_t>(size) : 0);
  for (std::size_t at = 0; at < octets.size();) {
    const ssize_t got = pread(fd, octets.data() + at, octets.size() - at, static_cast<off_t>(at));
    if (got <= 0) return fail(kMisread);
    at += static_cast<std::size_t>(got);
  }
  return crypto::SecretBytes(std::move(octets));
}

Result<void> await_taken(io::DescriptorChannel& channel, Duration wait) {
  const auto answer = channel.receive(wait);
  if (!answer) return fail(answer.error());
  if (answer->octets != one(LoopWord::kTaken)) return fail(kMisread);
  return {};
}

}  // namespace

// ---- the old process

void ServerLoop::offer_descriptors(std::string address, Answer answer) {
  loop_->post([this, address = std::move(address), answer = std::move(answer)] {
    auto channel = io::DescriptorListener::dial(address);
    if (!channel) return answer(fail(channel.error()));
    channel_ = std::move(*channel);
    const ByteArray<2> number = {static_cast<std::uint8_t>(shard_id_.value >> 8),
                                 static_cast<std::uint8_t>(shard_id_.value)};
    if (const auto sent = channel_.send(number, {}, kPatience); !sent) return answer(sent);
    passed_.clear();
    tcp_.share(true);
    offering_ = answer;
    offer_some();
  });
}

// Batches go out one in a few turns, so that clients hardly notice.
void ServerLoop::offer_some() {
  if (!channel_.open() || !offering_) return;  // given up meanwhile
  Result<void> done;
  if (batch_out_) {
    done = await_taken(channel_, {});
    if (done) batch_out_ = false;
  }
  if (done) {
    const auto more = pass_batch({});
    if (more && !*more) return std::exchange(offering_, {})({});
    if (!more) done = fail(more.error());
  }
  if (!done && done.error().code != Code::kUnavailable) {
    return std::exchange(offering_, {})(done);
  }
  loop_->after(kNextLook, [this] { offer_some(); });
}

// Sends the next descriptors that were not sent yet. False: there are none.
Result<bool> ServerLoop::pass_batch(Duration wait) {
  Bytes octets = one(LoopWord::kDescriptors);
  std::vector<int> descriptors;
  passed_.resize(tcp_.places());
  std::uint32_t index = pass_cursor_;
  if (!listener_passed_ && tcp_.listener_descriptor() >= 0) {
    octets = one(LoopWord::kListener);
    descriptors.push_back(tcp_.listener_descriptor());
  }
  for (; octets.size() + 8 <= io::DescriptorChannel::kMaxMessage && index < tcp_.places() &&
         (listener_passed_ || descriptors.empty()) &&
         descriptors.size() < io::DescriptorChannel::kMaxDescriptors;
       ++index) {
    const io::Tcp::Place place = tcp_.place(index);
    const std::uint64_t mark = std::uint64_t{place.generation} + 1;
    if (place.descriptor < 0 || passed_[index] == mark) continue;
    put_be32(octets, index);
    put_be32(octets, place.generation);
    descriptors.push_back(place.descriptor);
  }
  if (descriptors.empty()) return false;
  GODWIT_TRY(channel_.send(octets, descriptors, wait));
  if (octets.front() == static_cast<std::uint8_t>(LoopWord::kListener)) {
    listener_passed_ = true;
  } else {
    for (ByteView rest = ByteView(octets).subspan(1); !rest.empty(); rest = rest.subspan(8)) {
      passed_[get_be32(rest)] = std::uint64_t{get_be32(rest.subspan(4))} + 1;
    }
    pass_cursor_ = index;
  }
  batch_out_ = true;
  return true;
}

void ServerLoop::hold(Answer answer) {
  loop_->post([this, answer = std::move(answer)] {
    held_ = true;
    loop_->hold(true);
    mark_due();
    tcp_.end_closing();
    settle(answer);
  });
}

// This turn still hears what had come before it: the next is the first quiet one. What had been
// read and waits for its turn is few turns' work, for nothing joins it.
void ServerLoop::settle(Answer answer) {
  loop_->post([this, answer = std::move(answer)] {
    if (hungry_.empty() && handshake_queue_.empty()) return answer({});
    settle(answer);
  });
}

void ServerLoop::hand_over(Answer answer) {
  loop_->post([this, answer = std::move(answer)] {
    if (!shard_.at_rest()) {
      return answer(fail(Code::kUnavailable, "the server does not come to rest: try again"));
    }
    pass_cursor_ = 0;
    for (;;) {
      if (batch_out_) {
        if (const auto taken = await_taken(channel_, kPatience); !taken) return answer(taken);
        batch_out_ = false;
      }
      const auto more = pass_batch(kPatience);
      if (!more) return answer(fail(more.error()));
      if (!*more) break;
    }
    ours_ = false;
    Bytes octets;
    write_snapshot(octets);
    const auto file = memory_file(octets);
    crypto::wipe(octets);
    if (!file) return answer(fail(file.error()));
    auto sent = channel_.send(one(LoopWord::kSnapshot), {&*file, 1}, kPatience);
    close(*file);
    if (sent) sent = await_taken(channel_, kPatience);
    answer(sent);
  });
}

void ServerLoop::own(Answer answer) {
  loop_->post([this, answer = std::move(answer)] {
    ours_ = true;
    answer({});
  });
}

void ServerLoop::go_on() {
  loop_->post([this] {
    channel_.close();
    offering_ = {};
    passed_ = {};
    pass_cursor_ = 0;
    listener_passed_ = batch_out_ = false;
    tcp_.share(false);
    held_ = false;
    loop_->hold(false);
  });
}

void ServerLoop::write_snapshot(Bytes& out) {
  SnapshotHead head{kHandoverLayout, shard_id_.value, 0, {}};
  for (std::uint32_t i = 0; i < tcp_.places(); ++i) {
    put_be32(head.generations, tcp_.place(i).generation);
    head.connections += tcp_.place(i).descriptor >= 0;
  }
  put_bytes_field(out, kHeadField, encode(head));
  for (std::uint32_t i = 0; i < tcp_.places(); ++i) {
    const io::Tcp::Place place = tcp_.place(i);
    if (place.descriptor < 0) continue;
    const Connection& connection = connections_[i];
    ConnectionRecord record{.index = i, .generation = place.generation, .heard = connection.heard};
    record.open = connection.state == Connection::State::kOpen;
    if (connection.channel) {
      const auto channel = connection.channel->serialize();
      std::ranges::copy(channel.view(), record.channel.begin());
    }
    if (connection.busy != nullptr) {
      if (connection.busy->handshake) {
        record.handshake = to_bytes(connection.busy->handshake->serialize().view());
      }
      record.frame = to_bytes(connection.busy->reader.waiting());
    }
    record.unread = to_bytes(place.unread);
    record.unsent = to_bytes(place.unsent);
    Bytes encoded = encode(record);
    put_bytes_field(out, kConnectionField, encoded);
    crypto::wipe(encoded);
    crypto::wipe(record.channel);
    crypto::wipe(record.handshake);
  }
  Bytes shard;
  shard_.hand_over(shard);
  put_bytes_field(out, kShardField, shard);
}

// ---- the new process

void ServerLoop::expect(io::DescriptorChannel channel) {
  channel_ = std::move(channel);
  ours_ = false;
  held_ = true;
  loop_->hold(true);
}

void ServerLoop::receive_descriptors(std::uint32_t max_connections, Answer answer) {
  loop_->post([this, max_connections, answer = std::move(answer)] {
    max_connections_ = std::min(max_connections, kMaxConnections);
    answer(receive());
  });
}

// Until the snapshot has been taken over.
Result<void> ServerLoop::receive() {
  for (;;) {
    auto message = channel_.receive(kPatience);
    if (!message) return fail(message.error());
    const auto word = static_cast<LoopWord>(message->octets.front());
    std::span<const int> left = message->descriptors;
    Result<void> taken = fail(kMisread);
    if (word == LoopWord::kListener && left.size() == 1) {
      taken = tcp_.take_listener(left[0], max_connections_);
      left = {};
    } else if (word == LoopWord::kDescriptors && message->octets.size() == 1 + 8 * left.size()) {
      taken = take_descriptors(ByteView(message->octets).subspan(1), left);
    } else if (word == LoopWord::kSnapshot && left.size() == 1) {
      const auto octets = read_memory_file(left[0]);
      taken = octets ? take_snapshot(octets->view()) : fail(octets.error());
    }
    for (const int fd : left) close(fd);
    if (!taken) return taken;
    GODWIT_TRY(channel_.send(one(LoopWord::kTaken), {}, kPatience));
    if (word == LoopWord::kSnapshot) return {};
  }
}

Result<void> ServerLoop::take_descriptors(ByteView places, std::span<const int>& descriptors) {
  while (!descriptors.empty()) {
    const int fd = descriptors.front();
    descriptors = descriptors.subspan(1);
    GODWIT_TRY(tcp_.take({get_be32(places), get_be32(places.subspan(4))}, fd));
    places = places.subspan(8);
  }
  return {};
}

Result<void> ServerLoop::take_snapshot(ByteView octets) {
  Reader reader(octets);
  SnapshotHead head;
  std::uint64_t resumed = 0;
  while (!reader.at_end()) {
    const auto field = reader.field();
    if (!field) return fail(field.error());
    if (field->number == kHeadField) {
      auto decoded = decode<SnapshotHead>(field->bytes);
      if (!decoded || decoded->layout != kHandoverLayout || decoded->shard != shard_id_.value) {
        return fail(kMisread);
      }
      head = std::move(*decoded);
    } else if (field->number == kConnectionField) {
      GODWIT_TRY(take_connection(field->bytes));
      ++resumed;
    } else if (field->number == kShardField) {
      GODWIT_TRY(shard_.take_over(field->bytes));
    }
  }
  if (head.layout == 0 || resumed != head.connections) return fail(kMisread);
  std::vector<std::uint32_t> generations;
  for (ByteView rest = head.generations; rest.size() >= 4; rest = rest.subspan(4)) {
    generations.push_back(get_be32(rest));
  }
  tcp_.end_taking(generations);
  return {};
}

Result<void> ServerLoop::take_connection(ByteView octets) {
  auto record = decode<ConnectionRecord>(octets);
  if (!record) return fail(kMisread);
  const io::Conn conn{record->index, record->generation};
  if (!tcp_.restore(conn, record->unread, record->unsent)) return fail(kMisread);
  connections_.grow(conn.index + 1);
  Connection& connection = connections_[conn.index];
  connection = {};
  connection.generation = conn.generation;
  connection.heard = record->heard;
  connection.state = record->open ? Connection::State::kOpen : Connection::State::kHandshake;
  connection.told = record->open;
  if (record->open) {
    auto channel = proto::NoiseChannel::parse(record->channel);
    if (!channel) return fail(channel.error());
    connection.channel.emplace(std::move(*channel));
  } else {
    handshakes_.push_back({loop_->uptime() + shared_.handshake_timeout, conn});
  }
  if (!record->handshake.empty()) {
    auto handshake = proto::NoiseHandshake::parse(shared_.key, record->handshake);
    if (!handshake) return fail(handshake.error());
    connection.work().handshake = std::move(*handshake);
  }
  if (!record->frame.empty() && !connection.work().reader.feed(record->frame)) {
    return fail(kMisread);
  }
  ++shared_.connections;
  crypto::wipe(record->channel);
  crypto::wipe(record->handshake);
  return {};
}

void ServerLoop::begin() {
  loop_->post([this] {
    channel_.close();
    held_ = false;
    loop_->hold(false);
    tell([&](Env& env) { shard_.wake(env, outputs_); });
  });
}

void ServerLoop::turn(Answer answer) {
  loop_->post([answer = std::move(answer)] { answer({}); });
}

}  // namespace godwit::runtime
