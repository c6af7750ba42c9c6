// Caller: on whose behalf an action runs, and how it speaks to them meanwhile.
//
// An action is a function that takes the store or the host, a Caller and a request, and returns what was made
// or found. It checks what the account may do; it prints nothing and knows no command line. A front end
// parses its input into a request, calls the action, and prints the answer.
#pragma once

#include <stop_token>

#include "base/id.h"
#include "base/notices.h"

namespace ashlar {

struct Caller {
  AccountId account;
  Notices& notices;      // lives as long as the action
  std::stop_token stop;  // asks the action to end in order, with kCancelled
};

// Returns the account as records of volumes name it: value 0 for the store's own account.
AccountId volume_owner(const Caller& caller, const StoreId& store);

}  // namespace ashlar
