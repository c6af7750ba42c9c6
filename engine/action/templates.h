// Launch templates: the choices that machines are launched with, under a name and in numbered versions. An
// account sees and changes only its own.
//
// A version is named by its number, by "$Latest" or by "$Default". Failures that all of these share: kInvalid
// for a name or a version that is none, kNotFound (kind kNoSuchTemplate) for a template that the account does
// not have, kNotFound for a version that the template does not have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "action/caller.h"
#include "action/named_records.h"
#include "catalog/launch_templates.h"
#include "repo/repo.h"

namespace ashlar {

// Returns kInvalid unless `word` is a number from 1, "$Latest" or "$Default".
Status check_template_version(std::string_view word);

struct CreateLaunchTemplate {
  std::string name;
  std::string description;  // of version 1
  LaunchChoices choices;
};
// Fails with kBusy, kind kTemplateExists, when the account has a template of this name.
Result<LaunchTemplate> create_launch_template(Repo& repo, const Caller& caller,
                                              const CreateLaunchTemplate& request);

struct CreateLaunchTemplateVersion {
  std::string name;
  std::string source_version;  // the version that unstated choices are taken from; empty: none
  std::string description;
  LaunchChoices choices;
};
// Returns the template, whose last version is the new one.
Result<LaunchTemplate> create_launch_template_version(Repo& repo, const Caller& caller,
                                                      const CreateLaunchTemplateVersion& request);

// Lists the templates of the account by name.
Result<NamedRecords<LaunchTemplate>> describe_launch_templates(Repo& repo, const Caller& caller);

// Returns a template of the account.
Result<LaunchTemplate> find_launch_template(Repo& repo, const Caller& caller, std::string_view name);
// Returns the version of a template that `word` names.
Result<TemplateVersion> template_version(const LaunchTemplate& record, std::string_view word);

// Makes a version the default.
Result<LaunchTemplate> modify_launch_template(Repo& repo, const Caller& caller, std::string_view name,
                                              std::string_view default_version);

// Deletes a template with all of its versions, also when its record is damaged. Returns its id.
Result<LaunchTemplateId> delete_launch_template(Repo& repo, const Caller& caller, std::string_view name);
// Deletes some versions of a template. Fails with kInvalid for the default version, and deletes none then.
Result<LaunchTemplate> delete_launch_template_versions(Repo& repo, const Caller& caller,
                                                       std::string_view name,
                                                       const std::vector<std::string>& versions);

}  // namespace ashlar
