// Images as people and programs see them. JSON has EC2's member names.
#pragma once

#include <string>

#include "document/image_record.h"
#include "program/output.h"

namespace ashlar {

// A member of "Images" of DescribeImages. What `account` may not know (whom an image is shared with) is left
// out.
Json image_json(const ImageRecord& record, AccountId account);
std::string image_text(const ImageRecord& record, AccountId account);

}  // namespace ashlar
