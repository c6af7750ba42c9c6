// NbdReader: reads runs of an NBD export with 16 reads of up to 1 MiB in flight on one connection.
// Internal to the module.
#pragma once

#include <memory>

#include "source/nbd_connection.h"
#include "source/queued_reader.h"

namespace ashlar {

class NbdReader : public QueuedReader {
 public:
  NbdReader(std::shared_ptr<NbdConnection> connection, Plan plan);
  // Drops the connection when reads are in flight: the server may never answer, and the buffers are about to
  // be freed.
  ~NbdReader() override;
  void cancel() override { connection_->abandon(); }

 protected:
  Status submit(std::size_t id, const Part& part) override;
  Status kick() override { return connection_->nudge(); }
  Status wait() override { return connection_->wait(); }
  Status reap() override;

 private:
  std::shared_ptr<NbdConnection> connection_;
  std::size_t in_flight_ = 0;
};

}  // namespace ashlar
