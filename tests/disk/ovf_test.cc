// Tests of descriptors of OVAs: those of the common writers, and hostile ones.
#include "disk/ovf.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace ashlar {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Parts {
  std::string files = R"(<File ovf:id="file1" ovf:href="a.vmdk"/><File ovf:id="file2" ovf:href="b.vmdk"/>)";
  std::string disks =
      R"(<Disk ovf:diskId="d1" ovf:fileRef="file1" ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^20" )"
      R"(ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>)"
      R"(<Disk ovf:diskId="d2" ovf:fileRef="file2" ovf:capacity="4096" )"
      R"(ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>)";
  std::string items = drive("ovf:/disk/d2") + drive("/disk/d1");
  std::string rest;
  std::string system_end;

  static std::string drive(const std::string& resource) {
    return fmt::format(
        "<Item><rasd:HostResource>{}</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType>"
        "</Item>",
        resource);
  }
  std::string text() const {
    return fmt::format(
        R"(<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="x">)"
        R"(<References>{}</References><DiskSection><Info>i</Info>{}</DiskSection>)"
        R"(<VirtualSystem ovf:id="vm"><Name>web &amp; mail</Name><AnnotationSection><Annotation> Two lines</Annotation>)"
        R"(</AnnotationSection><VirtualHardwareSection>{}{}</VirtualHardwareSection>{}</VirtualSystem></Envelope>)",
        files, disks, items, rest, system_end);
  }
};

std::vector<std::string> files_of(const OvfMachine& machine) {
  std::vector<std::string> files;
  for (const OvfDisk& disk : machine.disks) files.push_back(disk.file);
  return files;
}

TEST(Ovf, DisksAreInTheOrderOfTheMachine) {
  Parts parts;
  parts.files += R"(<File ovf:id="cd" ovf:href="tools.iso"/>)";
  parts.items += "<Item><rasd:ResourceType>10</rasd:ResourceType></Item>";
  const OvfMachine machine = parse_ovf(parts.text()).take();
  EXPECT_THAT(files_of(machine), ElementsAre("b.vmdk", "a.vmdk"));
  EXPECT_EQ(machine.disks[0].capacity, ByteCount{4096});
  EXPECT_EQ(machine.disks[1].capacity, ByteCount{2 << 20});
  EXPECT_EQ(machine.name, "web & mail");
  EXPECT_EQ(machine.annotation, "Two lines");
  EXPECT_FALSE(machine.is_uefi);
  EXPECT_THAT(machine.left_out, ElementsAre("tools.iso"));
}

// Disks are ordered by their controllers and addresses; the order of the items does not count.
TEST(Ovf, DisksAreInTheOrderOfTheirPlaces) {
  const auto controller = [](int id, int kind, int address) {
    return fmt::format(
        "<Item><rasd:Address>{}</rasd:Address><rasd:InstanceID>{}</rasd:InstanceID>"
        "<rasd:ResourceType>{}</rasd:ResourceType></Item>",
        address, id, kind);
  };
  const auto drive = [](std::string_view disk, int parent, int place) {
    return fmt::format(
        "<Item><rasd:AddressOnParent>{}</rasd:AddressOnParent><rasd:HostResource>/disk/{}</rasd:HostResource>"
        "<rasd:Parent>{}</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>",
        place, disk, parent);
  };
  const auto order_of = [](const std::string& items) {
    Parts parts;
    parts.items = items;
    return files_of(parse_ovf(parts.text()).take());
  };
  const std::string scsi = controller(8, 6, 1) + controller(3, 6, 0) + controller(4, 5, 0);
  EXPECT_THAT(order_of(scsi + drive("d2", 3, 10) + drive("d1", 3, 9)), ElementsAre("a.vmdk", "b.vmdk"));
  EXPECT_THAT(order_of(drive("d2", 8, 0) + drive("d1", 3, 1) + scsi), ElementsAre("a.vmdk", "b.vmdk"));
  EXPECT_THAT(order_of(scsi + drive("d2", 4, 0) + drive("d1", 8, 1)), ElementsAre("a.vmdk", "b.vmdk"));
  EXPECT_THAT(order_of(scsi + drive("d2", 99, 0) + drive("d1", 8, 1)), ElementsAre("a.vmdk", "b.vmdk"));
}

TEST(Ovf, Firmware) {
  Parts vmware;
  vmware.rest = R"(<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>)";
  EXPECT_TRUE(parse_ovf(vmware.text()).take().is_uefi);
  Parts bios;
  bios.rest = R"(<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="bios"/>)";
  EXPECT_FALSE(parse_ovf(bios.text()).take().is_uefi);
  Parts virtualbox;
  virtualbox.system_end = R"(<vbox:Machine><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>)";
  EXPECT_TRUE(parse_ovf(virtualbox.text()).take().is_uefi);
}

TEST(Ovf, PrefixesAreTheWritersChoice) {
  std::string text = Parts{}.text();
  for (std::size_t at; (at = text.find("ovf:id")) != std::string::npos;) text.replace(at, 4, "");
  for (std::size_t at; (at = text.find("rasd:")) != std::string::npos;) text.replace(at, 5, "s:");
  for (std::size_t at; (at = text.find("<Item>")) != std::string::npos;)
    text.replace(at, 6, "<q:StorageItem>");
  for (std::size_t at; (at = text.find("</Item>")) != std::string::npos;)
    text.replace(at, 7, "</q:StorageItem>");
  EXPECT_THAT(files_of(parse_ovf(text).take()), ElementsAre("b.vmdk", "a.vmdk"));
}

void refused(const std::string& text, const std::string& says) {
  const auto machine = parse_ovf(text);
  ASSERT_FALSE(machine.ok()) << "was to say: " << says;
  EXPECT_THAT(machine.error().text(), HasSubstr(says));
  EXPECT_LT(machine.error().text().size(), 500U);
}

void refused(const std::function<void(Parts&)>& change, const std::string& says) {
  Parts parts;
  change(parts);
  refused(parts.text(), says);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(Ovf, WhatIsRefused) {
  refused([](Parts& p) { p.files = replaced(p.files, "/>", " ovf:compression=\"gzip\"/>"); }, "gzip");
  refused([](Parts& p) { p.files = replaced(p.files, "/>", " ovf:chunkSize=\"1\"/>"); }, "pieces");
  refused([](Parts& p) { p.files = replaced(p.files, "file2", "file1"); }, "two files");
  refused([](Parts& p) { p.files = replaced(p.files, "file2", "file3"); }, "without a file");
  refused([](Parts& p) { p.disks = replaced(p.disks, "d2", "d1"); }, "two disks");
  refused([](Parts& p) { p.disks = replaced(p.disks, "/>", " ovf:parentRef=\"d2\"/>"); },
          "depends on another disk");
  refused([](Parts& p) { p.disks = replaced(p.disks, "vmdk.html", "vdi.html"); }, "format");
  for (const char* size : {"", "0", "-1", "x", "${size}", "99999999999999999999", "18446744073709551615"})
    refused(
        [&](Parts& p) {
          p.disks = replaced(p.disks, "capacity=\"2\"", fmt::format("capacity=\"{}\"", size));
        },
        "capacity");
  refused([](Parts& p) { p.disks = replaced(p.disks, "2^20", "2^64"); }, "capacity");
  refused([](Parts& p) { p.items += Parts::drive("/disk/d1"); }, "two drives");
  refused([](Parts& p) { p.items += Parts::drive("/disk/d3"); }, "'d3'");
  refused([](Parts& p) { p.items += Parts::drive("/etc/passwd"); }, "without a disk");
  refused([](Parts& p) { p.items.clear(); }, "without disks");
  refused([](Parts& p) { p.system_end = "</VirtualSystem><VirtualSystem>"; }, "several machines");
  refused([](Parts& p) { p.rest = "</VirtualHardwareSection><VirtualHardwareSection>"; }, "hardware");
}

TEST(Ovf, HostileXml) {
  refused("", "not XML");
  refused("<Envelope>", "not XML");
  refused("<html/>", "not an OVF document");
  refused(std::string(kMaxOvfBytes + 1, ' '), "1 MiB");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  refused(deep, "not XML");
  for (int i = 0; i < 100000; ++i) deep += "</a>";
  refused(deep, "not an OVF document");
  // Entities are neither expanded nor fetched.
  const std::string bomb =
      replaced(replaced(Parts{}.text(), "?>",
                        "?><!DOCTYPE lolz [<!ENTITY a \"aaaa\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>"),
               "web &amp; mail", "&a;&f;");
  EXPECT_EQ(parse_ovf(bomb).take().name, "&a;&f;");
  Parts many;
  for (int i = 0; i < 2000; ++i) many.files += fmt::format(R"(<File ovf:id="x{}" ovf:href="x"/>)", i);
  refused(many.text(), "too many");
}

}  // namespace
}  // namespace ashlar
