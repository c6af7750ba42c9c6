#include "source/nbd_reader.h"

namespace ashlar {

NbdReader::NbdReader(std::shared_ptr<NbdConnection> connection, Plan plan)
    : QueuedReader(connection->uri(), connection->size(), std::move(plan), {connection->read_limit(), 16}),
      connection_(std::move(connection)) {}

NbdReader::~NbdReader() {
  if (in_flight_ > 0) connection_->close();
}

Status NbdReader::submit(std::size_t id, const Part& part) {
  TRY(connection_->start_read(id, part.offset, MutableByteSpan(part.data, part.bytes)));
  ++in_flight_;
  return {};
}

Status NbdReader::reap() {
  std::optional<Error> first;
  for (const NbdConnection::Arrival& arrival : connection_->take_arrivals()) {
    --in_flight_;
    const std::size_t id = arrival.cookie;
    Status status = finished(id, arrival.error_number, arrival.error_number == 0 ? part(id).bytes : 0);
    if (!status.ok() && !first) first = status.take_error();
  }
  if (first) return std::move(*first);
  return {};
}

}  // namespace ashlar
