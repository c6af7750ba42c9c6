// The words in an image's record, in the order of their enumerations. Page: docs/format/image.md.
#pragma once

#include <array>
#include <string_view>

#include "document/image_record.h"

namespace ashlar {

using Word = std::string_view;
inline constexpr std::array kImageStateNames = {Word("pending"),  Word("available"),    Word("failed"),
                                                Word("disabled"), Word("deregistered"), Word("purged")};
inline constexpr std::array kArchitectureNames = {Word("i386"),    Word("x86_64"),  Word("arm64"),
                                                  Word("riscv64"), Word("ppc64le"), Word("s390x")};
inline constexpr std::array kRootDeviceTypeNames = {Word("ebs"), Word("instance-store")};
inline constexpr std::array kVirtualizationNames = {Word("hvm"), Word("paravirtual")};
inline constexpr std::array kBootModeNames = {Word("legacy-bios"), Word("uefi"), Word("uefi-preferred")};
inline constexpr std::array kVolumeTypeNames = {Word("gp3"), Word("gp2"), Word("io1"),     Word("io2"),
                                                Word("st1"), Word("sc1"), Word("standard")};
inline constexpr std::array kConsistencyNames = {Word("separate"), Word("stopped"),          Word("paused"),
                                                 Word("frozen"),   Word("crash-consistent"), Word("live")};
inline constexpr std::array kDeviceKindNames = {Word("snapshot"), Word("ephemeral"), Word("none")};

}  // namespace ashlar
