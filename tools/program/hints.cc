#include "program/hints.h"

#include <fmt/format.h>

#include <cerrno>

namespace ashlar {

std::string hint_of(const Error& error) {
  const std::string& id = error.id();
  switch (error.kind()) {
    case ErrorKind::kNone:
      if (error.error_number() == ENOSPC || error.error_number() == EDQUOT)
        return "the file system is full: make room on it and run the command again";
      return {};
    case ErrorKind::kNoSuchSnapshot:
      if (error.code() == ErrorCode::kBusy) return fmt::format("run 'ashlar bin restore {}' first", id);
      return "'ashlar snapshots' lists them";
    case ErrorKind::kNotInBin:
      return "'ashlar bin list' lists the bin";
    case ErrorKind::kNoSuchImage:
      return "'ashlar image list' lists them";
    case ErrorKind::kNoSuchVolume:
      return "'ashlar volume list' lists them";
    case ErrorKind::kNoSuchInstance:
      return "'ashlar instances list' lists them";
    case ErrorKind::kNoSuchTemplate:
      return "'ashlar template list' lists them";
    case ErrorKind::kNoSuchPolicy:
      return "'ashlar lifecycle list' lists them";
    case ErrorKind::kNoSuchKey:
      return "'ashlar key list' lists the trusted keys";
    case ErrorKind::kTemplateExists:
      return fmt::format("'ashlar template version {}' adds a version to it", id);
    case ErrorKind::kNotAStore:
      return fmt::format("'ashlar init {}' makes one", id);
    case ErrorKind::kStoreIsCopy:
      return "'ashlar store adopt' makes them this store's own";
    case ErrorKind::kSourceInUse:
      return id.empty() ? "end its writers, or take a copy as after a crash with --live"
                        : fmt::format(
                              "unmount it, hold its writers still with --freeze {}, or take a copy as "
                              "after a crash with --live",
                              id);
    case ErrorKind::kSourceUnreadable:
      return "--skip-unreadable records such ranges as lost and goes on";
    case ErrorKind::kMapRefused:
      return "leave out --paranoid or --changed";
    case ErrorKind::kTargetHasData:
      return "--force overwrites it";
    case ErrorKind::kTargetExists:
      return "name a new file";
    case ErrorKind::kNameUnfit:
      return "give another with --name";
    case ErrorKind::kNotADiskFile:
      return "'ashlar capture' takes devices and streams";
    case ErrorKind::kRawFilePartial:
      return fmt::format("'ashlar volume snapshot {}' captures the whole volume", id);
    case ErrorKind::kFormatUnknown:
      return "give --format";
    case ErrorKind::kVolumeServed:
      return "end the process that has it open, such as 'ashlar serve'";
    case ErrorKind::kVolumeNotWhole:
      return fmt::format("run 'ashlar volume hydrate {}' first", id);
    case ErrorKind::kVolumeAttached:
      return fmt::format("run 'ashlar volume release {}' first", id);
    case ErrorKind::kVolumeOfMachine:
      return fmt::format("stop or terminate {} first", id);
    case ErrorKind::kServerElsewhere:
      return "start the server with --socket";
    case ErrorKind::kNotTrusted:
      return "'ashlar key trust' adds a trusted key";
    case ErrorKind::kNotClean:
      return fmt::format("'ashlar image inspect {}' shows all findings", id);
    case ErrorKind::kGuestStaysOn:
      return "use --no-reboot, or stop the machine first";
    case ErrorKind::kSessionBeats:
      return fmt::format(
          "look again later, or take it away with 'ashlar sessions revoke {} --now': its work is lost", id);
    case ErrorKind::kClockDoubtful:
      return "look at the clock, and run the command again with --clock-is-right";
    case ErrorKind::kSettingsLost:
      return "'ashlar store discard settings --yes' gives them up for the defaults, which trust no key";
    case ErrorKind::kSnapshotHasLosses:
      return fmt::format(
          "'ashlar restore {} TARGET --skip-damaged' restores all else and names what it left out", id);
    case ErrorKind::kRecordDamaged:
      return fmt::format(
          "look at all damage with 'ashlar verify --all'; put the record back from a copy of the store (of a "
          "snapshot: 'ashlar repair --from COPY'), or give it up with 'ashlar store discard {} --yes'",
          id);
  }
  return {};
}

}  // namespace ashlar
