// Images as people and programs see them. JSON has EC2's member names.
#pragma once

#include <string>
#include <vector>

#include "document/image_record.h"
#include "program/output.h"

namespace ashlar {

// Returns a member of "Images" of DescribeImages. Leaves out what `account` may not know: with whom the image
// is shared.
Json image_json(const ImageRecord& record, AccountId account);
// Returns an answer of DescribeImages: {"Images": […]}.
Json images_json(const std::vector<ImageRecord>& images, AccountId account);
std::string image_text(const ImageRecord& record, AccountId account);
// Returns the size of the snapshots of all devices together.
ByteCount snapshot_size(const ImageRecord& record);

}  // namespace ashlar
