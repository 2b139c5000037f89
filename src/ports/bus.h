// Bus: octets from shard to shard, at most once. Senders retry; receivers de-duplicate.
//
// publish() never blocks and never fails: a full queue drops the message, as a network would. Per
// sender and receiver the order is kept by the in-process bus, and not promised by the port.
#pragma once

#include "base/bytes.h"
#include "base/id.h"

namespace godwit::ports {

class Bus {
 public:
  virtual ~Bus() = default;
  virtual void publish(ShardId to, Bytes message) = 0;
};

}  // namespace godwit::ports
