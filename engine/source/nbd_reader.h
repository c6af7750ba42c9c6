// NbdReader: runs of an NBD export, 16 reads of up to 1 MiB in flight on one connection.
#pragma once

#include <memory>

#include "source/nbd_connection.h"
#include "source/queued_reader.h"

namespace ashlar {

class NbdReader : public QueuedReader {
 public:
  NbdReader(std::shared_ptr<NbdConnection> connection, Plan plan);
  // With reads in flight this drops the connection: a server need not answer, and the buffers are going.
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
