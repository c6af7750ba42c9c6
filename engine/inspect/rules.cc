#include "inspect/rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>

namespace ashlar {
namespace {

constexpr std::string_view kLogsIn = "lets the owners of the private keys log in";
constexpr std::string_view kKey = "a private key that every machine of the template would share";
constexpr std::string_view kHostKey = "every machine of the template would show the same host key";
constexpr std::string_view kHistory = "the commands that a user typed";
constexpr std::string_view kCloud = "gives access to a user's account";
constexpr std::string_view kIdentity = "machines of the template would pass for one another";
constexpr std::string_view kLease = "the template's own address, which is not that of its machines";
constexpr std::string_view kCloudInit = "cloud-init would take a new machine for one that it has set up";
constexpr std::string_view kLog = "what happened on the template, not on its machines";
constexpr std::string_view kSeed = "machines of the template would start with the same randomness";
constexpr std::string_view kSwap = "may hold what was in the template's memory";

constexpr auto kRules = std::to_array<Rule>({
    {"authorized-keys", "~/.ssh/authorized_keys*", Evidence::kEntries, kLogsIn},
    {"authorized-keys", "/etc/ssh/authorized_keys*", Evidence::kEntries, kLogsIn},
    {"authorized-keys", "/etc/ssh/authorized_keys*/**", Evidence::kEntries, kLogsIn},
    {"authorized-keys", "/etc/dropbear/authorized_keys*", Evidence::kEntries, kLogsIn},
    {"authorized-keys", "~/.shosts", Evidence::kEntries, kLogsIn},
    {"authorized-keys", "~/.rhosts", Evidence::kEntries, kLogsIn},

    {"ssh-host-key", "/etc/ssh/ssh_host_*_key", Evidence::kNotEmpty, kHostKey},
    {"ssh-host-key", "/etc/dropbear/*_host_key", Evidence::kNotEmpty, kHostKey},

    {"shell-history", "~/.*_history", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.*_history-*", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.history", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.zhistory", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.histfile", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.lesshst", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.viminfo", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.local/share/fish/fish_history", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.local/share/nano/search_history", Evidence::kNotEmpty, kHistory},
    {"shell-history", "~/.local/state/*/history", Evidence::kNotEmpty, kHistory},

    {"cloud-access-key", "~/.aws/credentials", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.aws/*/cache/*.json", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.config/gcloud/*credentials*", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.config/gcloud/access_tokens.db", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.config/gcloud/legacy_credentials/**", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.azure/accessTokens.json", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.azure/msal_token_cache.*", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.azure/service_principal_entries.*", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.oci/config", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.config/openstack/clouds*.yaml", Evidence::kEntries, kCloud},
    {"cloud-access-key", "/etc/openstack/clouds*.yaml", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.config/hcloud/cli.toml", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.config/doctl/config.yaml", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.config/rclone/rclone.conf", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.terraform.d/credentials.tfrc.json", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.kube/config", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.vault-token", Evidence::kNotEmpty, kCloud},
    {"cloud-access-key", "~/.s3cfg", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.boto", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.git-credentials", Evidence::kEntries, kCloud},
    {"cloud-access-key", "~/.netrc", Evidence::kEntries, kCloud},

    {"machine-id", "/etc/machine-id", Evidence::kMachineId, kIdentity},
    {"machine-id", "/var/lib/dbus/machine-id", Evidence::kMachineId, kIdentity},

    {"random-seed", "/var/lib/systemd/random-seed", Evidence::kNotEmpty, kSeed},
    {"random-seed", "/var/lib/urandom/random-seed", Evidence::kNotEmpty, kSeed},

    {"dhcp-lease", "/var/lib/dhcp/*", Evidence::kNotEmpty, kLease},
    {"dhcp-lease", "/var/lib/dhclient/*", Evidence::kNotEmpty, kLease},
    {"dhcp-lease", "/var/lib/dhcpcd*/*", Evidence::kNotEmpty, kLease},
    {"dhcp-lease", "/var/db/dhcpcd/*", Evidence::kNotEmpty, kLease},
    {"dhcp-lease", "/var/lib/NetworkManager/*lease*", Evidence::kNotEmpty, kLease},
    {"dhcp-lease", "/var/lib/wicked/*lease*", Evidence::kNotEmpty, kLease},
    {"dhcp-lease", "/etc/dhcpcd.duid", Evidence::kNotEmpty, kLease},

    {"cloud-init-state", "/var/lib/cloud/instances/*", Evidence::kExists, kCloudInit},
    {"cloud-init-state", "/var/lib/cloud/data/*", Evidence::kNotEmpty, kCloudInit},
    {"cloud-init-state", "/var/lib/cloud/sem/*", Evidence::kExists, kCloudInit},
    {"cloud-init-state", "/var/lib/cloud/seed/**", Evidence::kNotEmpty, kCloudInit},

    {"log", "/var/log/**", Evidence::kNotEmpty, kLog},
    {"log", "/var/mail/*", Evidence::kNotEmpty, kLog},
    {"log", "/var/spool/mail/*", Evidence::kNotEmpty, kLog},
    {"log", "/var/crash/*", Evidence::kNotEmpty, kLog},

    {"swap", "/swapfile*", Evidence::kNotEmpty, kSwap},
    {"swap", "/swap.img", Evidence::kNotEmpty, kSwap},
    {"swap", "/swap/*", Evidence::kNotEmpty, kSwap},
    {"swap", "/var/swap*", Evidence::kNotEmpty, kSwap},

    // Found by content, in the places where people and services keep their own files.
    {"private-key", "/var/lib/systemd/credential.secret", Evidence::kNotEmpty, kKey},
    {"private-key", "/var/lib/NetworkManager/secret_key", Evidence::kNotEmpty, kKey},
    {"private-key", "/etc/krb5.keytab", Evidence::kNotEmpty, kKey},
    {"private-key", "~/.gnupg/private-keys-v1.d/*", Evidence::kNotEmpty, kKey},
    {"private-key", "~/.gnupg/secring.gpg", Evidence::kNotEmpty, kKey},
    {"private-key", "~/.ssh/*", Evidence::kPrivateKey, kKey},
    {"private-key", "/root/**", Evidence::kPrivateKey, kKey},
    {"private-key", "/home/**", Evidence::kPrivateKey, kKey},
    {"private-key", "/etc/**", Evidence::kPrivateKey, kKey},
    {"cloud-access-key", "/root/**", Evidence::kCloudKey, kCloud},
    {"cloud-access-key", "/home/**", Evidence::kCloudKey, kCloud},
    {"cloud-access-key", "/etc/**", Evidence::kCloudKey, kCloud},
});

constexpr auto kHomes =
    std::to_array<std::string_view>({"", "/root", "/home/*", "/home/*/*", "/var/lib/*", "/srv/*", "/opt/*"});

bool has_entry(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::size_t first = text.substr(0, end).find_first_not_of(" \t\r");
    if (first != std::string_view::npos && text[first] != '#') return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> marks) {
  return std::ranges::any_of(marks, [&](std::string_view mark) { return text.find(mark) != text.npos; });
}

// Finds "-----BEGIN OPENSSH PRIVATE KEY-----" and similar lines; keys of PuTTY, WireGuard and age have
// headers of their own.
bool has_private_key(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::size_t kLongestName = 40;
  for (std::size_t at = text.find(kBegin); at != text.npos; at = text.find(kBegin, at + 1)) {
    const std::string_view name = text.substr(at + kBegin.size(), kLongestName);
    if (name.substr(0, name.find("-----")).find("PRIVATE KEY") != name.npos) return true;
  }
  if (has_any(text, {"AGE-SECRET-KEY-1", "PuTTY-User-Key-File-"})) return true;
  return has_any(text, {"[Interface]"}) && has_any(text, {"PrivateKey =", "PrivateKey="});
}

bool is_capital_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// Finds AKIA (a user's key) or ASIA (a session's key) and 16 more characters; keys in Amazon's own manuals
// end in EXAMPLE.
bool has_amazon_key(std::string_view text) {
  constexpr std::size_t kLength = 20;
  for (const std::string_view prefix : {"AKIA", "ASIA"}) {
    for (std::size_t at = text.find(prefix); at != text.npos; at = text.find(prefix, at + 1)) {
      const std::string_view key = text.substr(at, kLength);
      const bool begins = at == 0 || !is_capital_or_digit(text[at - 1]);
      const bool ends = at + kLength >= text.size() || !is_capital_or_digit(text[at + kLength]);
      const bool is_key = key.size() == kLength && std::ranges::all_of(key, is_capital_or_digit);
      if (begins && ends && is_key && !key.ends_with("EXAMPLE")) return true;
    }
  }
  return false;
}

// Finds a long word in base64 that follows a name: `aws_secret_access_key = "wJal…"`.
bool has_secret_behind(std::string_view text, std::string_view name) {
  constexpr std::size_t kShortest = 40;
  constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    std::string_view rest = text.substr(at + name.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t:=\"'"), rest.size()));
    const std::string_view secret = rest.substr(0, rest.find_first_not_of(kBase64));
    if (secret.size() >= kShortest && secret.find("EXAMPLE") == secret.npos) return true;
  }
  return false;
}

bool has_cloud_key(std::string_view text) {
  return has_amazon_key(text) || has_secret_behind(text, "aws_secret_access_key") ||
         has_secret_behind(text, "AccountKey");
}

std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    path.remove_prefix(1);  // "/"
    const std::size_t end = std::min(path.find('/'), path.size());
    names.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return names;
}

void add_below(const Rule& rule, const std::string& pattern, std::string_view mount_point,
               std::vector<PathPattern>& patterns) {
  if (!pattern.starts_with(mount_point)) return;
  const std::string_view rest = std::string_view(pattern).substr(mount_point.size());
  if (rest.starts_with('/')) patterns.push_back({&rule, names_of(rest)});
}

}  // namespace

std::span<const Rule> rules() { return kRules; }

bool proves(Evidence evidence, std::string_view content) {
  switch (evidence) {
    case Evidence::kEntries:
      return has_entry(content);
    case Evidence::kMachineId:
      return !trimmed(content).empty() && trimmed(content) != "uninitialized";
    case Evidence::kPrivateKey:
      return has_private_key(content);
    case Evidence::kCloudKey:
      return has_cloud_key(content);
    case Evidence::kExists:
    case Evidence::kNotEmpty:
      break;
  }
  return false;
}

std::vector<PathPattern> patterns_below(std::string_view mount_point) {
  std::vector<PathPattern> patterns;
  patterns.reserve(kRules.size() * kHomes.size());
  for (const Rule& rule : kRules) {
    if (!rule.pattern.starts_with('~')) {
      add_below(rule, std::string(rule.pattern), mount_point, patterns);
      continue;
    }
    for (const std::string_view home : kHomes)
      add_below(rule, std::string(home) + std::string(rule.pattern.substr(1)), mount_point, patterns);
  }
  return patterns;
}

bool matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

}  // namespace ashlar
