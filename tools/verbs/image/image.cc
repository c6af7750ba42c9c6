// ashlar image …: the group of the verbs on machine images.
#include "program/cli.h"

namespace ashlar {

void add_image_create(Cli& cli);
void add_image_list(Cli& cli);
void add_image_describe(Cli& cli);
void add_image_wait(Cli& cli);

void add_image(Cli& cli) {
  cli.add_group("image",
                "Make, list, share and retire machine images: snapshots with a block device mapping");
  add_image_create(cli);
  add_image_list(cli);
  add_image_describe(cli);
  add_image_wait(cli);
}

}  // namespace ashlar
