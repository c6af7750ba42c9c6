#include "image/filter.h"

#include <gtest/gtest.h>

#include "document/golden_image.h"

namespace ashlar {
namespace {

TEST(ImageFilters, PatternsMatchAsEc2sDo) {
  EXPECT_TRUE(matches_pattern("web-1.4", "web-1.4"));
  EXPECT_FALSE(matches_pattern("web-1.4", "Web-1.4"));
  EXPECT_FALSE(matches_pattern("web-1.4", "web"));
  EXPECT_TRUE(matches_pattern("web-1.4", "web*"));
  EXPECT_TRUE(matches_pattern("web-1.4", "*1*4"));
  EXPECT_TRUE(matches_pattern("web-1.4", "w?b-?.?"));
  EXPECT_FALSE(matches_pattern("web-1.4", "w?b-?.??"));
  EXPECT_TRUE(matches_pattern("", "*"));
  EXPECT_TRUE(matches_pattern("", ""));
  EXPECT_FALSE(matches_pattern("", "?"));
  EXPECT_TRUE(matches_pattern("a*b", "a\\*b"));
  EXPECT_FALSE(matches_pattern("axb", "a\\*b"));
  EXPECT_TRUE(matches_pattern("aaab", "*ab"));
  EXPECT_TRUE(matches_pattern("abcabcabd", "*abc*abd"));
  EXPECT_FALSE(matches_pattern(std::string(100, 'a'), "*a*a*a*a*a*a*a*b"));
}

bool passes_filter(const std::string& text) {
  auto filter = parse_image_filter(text);
  EXPECT_TRUE(filter.ok()) << text;
  return filter.ok() && passes(golden::image(), filter.value());
}

TEST(ImageFilters, EveryAttributeIsFound) {
  for (const char* text : {"name=architecture,values=arm64",
                           "name=block-device-mapping.delete-on-termination,values=false",
                           "name=block-device-mapping.device-name,values=/dev/sdc",
                           "name=block-device-mapping.encrypted,values=false",
                           "name=block-device-mapping.snapshot-id,values=snap-00000000000000007",
                           "name=block-device-mapping.volume-size,values=20",
                           "name=block-device-mapping.volume-type,values=io2",
                           "name=boot-mode,values=uefi*",
                           "name=creation-date,values=2026-11-21T*",
                           "name=description,values=caf*",
                           "name=ena-support,values=true",
                           "name=image-id,values=ami-01122334455667788",
                           "name=image-type,values=machine",
                           "name=is-public,values=true",
                           "name=kernel-id,values=snap-00000000000000008",
                           "name=name,values=web-*",
                           "name=owner-id,values=123456789012",
                           "name=platform,values=windows",
                           "name=ramdisk-id,values=snap-00000000000000009",
                           "name=root-device-name,values=/dev/sda",
                           "name=root-device-type,values=instance-store",
                           "name=source-image-id,values=ami-00000000000000099",
                           "name=source-instance-id,values=i-00000000000000077",
                           "name=sriov-net-support,values=simple",
                           "name=state,values=deregistered",
                           "name=state-reason-message,values=no*",
                           "name=tag-key,values=stage",
                           "name=tag:stage,values=production",
                           "name=virtualization-type,values=paravirtual"}) {
    EXPECT_TRUE(passes_filter(text)) << text;
    const std::string name(text, std::string(text).find(','));
    EXPECT_FALSE(passes_filter(name + ",values=something else")) << name;
  }
}

TEST(ImageFilters, OneOfTheValuesIsEnough) {
  EXPECT_TRUE(passes_filter("Name=state,Values=available,deregistered"));
  EXPECT_FALSE(passes_filter("name=state,values=available,pending"));
  EXPECT_FALSE(passes_filter("name=tag:nothing,values=*"));
  EXPECT_FALSE(passes_filter("name=block-device-mapping.volume-size,values=8"));  // an ephemeral device
}

TEST(ImageFilters, WhatIsNoFilterIsRefused) {
  for (const char* text :
       {"", "state", "state=available", "name=state", "name=state,available", "name=,values=a",
        "name=colour,values=red", "name=tag:,values=x", "values=x,name=state"}) {
    const auto filter = parse_image_filter(text);
    EXPECT_FALSE(filter.ok()) << text;
  }
  EXPECT_NE(parse_image_filter("name=colour,values=red").error().text().find("'colour'"), std::string::npos);
}

}  // namespace
}  // namespace ashlar
