// ServerRuntime's metrics. docs/operations.md explains each; a test compares.
#include "runtime/server_runtime.h"

namespace godwit::runtime {

namespace {

template <std::size_t N>
void put_labelled(MetricsText& text, std::string_view label,
                  const std::array<std::string_view, N>& names,
                  const std::array<std::uint64_t, N>& values) {
  for (std::size_t i = 0; i < N; ++i) {
    text.sample(values[i], std::string(label) + "=\"" + std::string(names[i]) + "\"");
  }
}

LoopCounters sum(const std::vector<std::unique_ptr<ServerLoop>>& loops) {
  LoopCounters total;
  for (const auto& loop : loops) {
    const LoopCounters one = loop->counters();
    total.shard.accepted += one.shard.accepted;
    total.shard.sealed += one.shard.sealed;
    total.shard.certificates += one.shard.certificates;
    total.shard.delivered += one.shard.delivered;
    total.shard.acknowledged += one.shard.acknowledged;
    total.shard.refused_full += one.shard.refused_full;
    total.shard.repeated += one.shard.repeated;
    total.shard.fanout_retries += one.shard.fanout_retries;
    total.shard.group_messages += one.shard.group_messages;
    total.shard.fanout_dropped += one.shard.fanout_dropped;
    total.shard.rate_limited += one.shard.rate_limited;
    total.shard.overloaded += one.shard.overloaded;
    total.shard.commits += one.shard.commits;
    total.shard.commit_failures += one.shard.commit_failures;
    total.shard.registrations += one.shard.registrations;
    total.shard.sessions += one.shard.sessions;
    total.shard.entities += one.shard.entities;
    total.shard.sleeping += one.shard.sleeping;
    for (std::size_t i = 0; i < total.connects.size(); ++i) total.connects[i] += one.connects[i];
    for (std::size_t i = 0; i < total.ends.size(); ++i) total.ends[i] += one.ends[i];
    total.connections += one.connections;
    total.frames_in += one.frames_in;
    total.frames_out += one.frames_out;
    total.octets_in += one.octets_in;
    total.octets_out += one.octets_out;
    total.bus_dropped += one.bus_dropped;
    total.shed_network += one.shed_network;
    total.shed_handshakes += one.shed_handshakes;
  }
  return total;
}

void put_connections(MetricsText& text, const LoopCounters& total) {
  text.gauge("godwitd_connections", "Open TCP connections.", total.connections);
  text.gauge("godwitd_sessions", "Connections whose handshake is done.", total.shard.sessions);
  text.family("godwitd_connects_total", "counter", "Connections begun, by how that went.");
  put_labelled(text, "result", kConnectResults, total.connects);
  text.family("godwitd_disconnects_total", "counter", "Sessions ended, by reason.");
  put_labelled(text, "reason", kEndReasons, total.ends);
  text.family("godwitd_frames_total", "counter", "Frames exchanged with clients.");
  text.sample(total.frames_in, "direction=\"in\"");
  text.sample(total.frames_out, "direction=\"out\"");
  text.family("godwitd_network_bytes_total", "counter", "Encrypted octets, without TCP's own.");
  text.sample(total.octets_in, "direction=\"in\"");
  text.sample(total.octets_out, "direction=\"out\"");
}

void put_messages(MetricsText& text, const LoopCounters& total) {
  const server::Counters& shard = total.shard;
  text.counter("godwitd_registrations_total", "Accounts registered.", shard.registrations);
  text.counter("godwitd_messages_accepted_total",
               "Envelopes stored, whose sender heard so; one per receiving device.",
               shard.accepted);
  text.counter("godwitd_messages_sealed_total", "Of these, those that name no sender.",
               shard.sealed);
  text.counter("godwitd_certificates_total", "Sender certificates signed.", shard.certificates);
  text.counter("godwitd_messages_delivered_total", "Envelopes pushed to a device.",
               shard.delivered);
  text.counter("godwitd_messages_acknowledged_total",
               "Envelopes erased because the device has them.", shard.acknowledged);
  text.counter("godwitd_group_messages_total", "Messages accepted for a group's members.",
               shard.group_messages);
  text.counter("godwitd_fanout_dropped_total",
               "Batches of a group given up for a member: no account, or a full mailbox.",
               shard.fanout_dropped);
  text.family("godwitd_retries_total", "counter", "What was tried again, by who did it.");
  text.sample(shard.repeated, "by=\"client\"");
  text.sample(shard.fanout_retries, "by=\"group\"");
  text.family("godwitd_shed_total", "counter", "What was refused, by reason.");
  text.sample(shard.refused_full, "reason=\"mailbox_full\"");
  text.sample(shard.rate_limited, "reason=\"rate_limited\"");
  text.sample(shard.overloaded, "reason=\"overloaded\"");
  text.sample(total.shed_network, "reason=\"handshakes_of_network\"");
  text.sample(total.shed_handshakes, "reason=\"handshakes\"");
  text.sample(total.ends[static_cast<std::size_t>(EndReason::kSlowReader)],
              "reason=\"slow_reader\"");
  text.gauge("godwitd_entities", "Accounts and directory entries in memory.", shard.entities);
  text.gauge("godwitd_sleeping_devices", "Attached devices whose account is not in memory.",
             shard.sleeping);
  text.counter("godwitd_commits_total", "Batches that entities asked to store.", shard.commits);
  text.counter("godwitd_commit_failures_total", "Those that the store refused.",
               shard.commit_failures);
}

}  // namespace

std::string ServerRuntime::metrics() const {
  MetricsText text;
  text.family("godwitd_build_info", "gauge", "The version, as a label.");
  text.sample(1, "version=\"" GODWIT_VERSION "\"");
  text.gauge("godwitd_ready", "1 when /readyz says so.", not_ready().empty() ? 1 : 0);
  const LoopCounters total = sum(shared_.loops);
  put_connections(text, total);
  put_messages(text, total);
  text.counter("godwitd_bus_dropped_total", "Messages between shards dropped for want of room.",
               total.bus_dropped);
  if (shared_.store != nullptr) {
    text.family("godwitd_store_seconds", "histogram",
                "Time in the store: a group of writes with its fsync, or one read.");
    text.sample(shared_.store->write_seconds(), "op=\"write\"");
    text.sample(shared_.store->read_seconds(), "op=\"read\"");
    text.counter("godwitd_store_batches_total", "Batches stored; per write: the group's size.",
                 shared_.store->batches());
    text.gauge("godwitd_store_queue", "Reads and writes that wait for the store.",
               shared_.store->waiting());
  }
  text.family("godwitd_upgrade_pause_seconds", "gauge",
              "In the last upgrade that was tried: how long nobody was served; 0: none was.");
  text.sample_seconds(shared_.pause_us);
  text.gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes());
  text.gauge("process_open_fds", "Open file descriptors.", open_descriptors());
  return text.take();
}

}  // namespace godwit::runtime
