// The numbers of users and groups, through nss, like getent(1).
#ifndef LISTENFDS_NATIVE_USERS_H_
#define LISTENFDS_NATIVE_USERS_H_

#include "call.h"

// userId(name) -> number | null if there is none | -errno; groupId likewise
Napi::Value UserId(Call& call);
Napi::Value GroupId(Call& call);

#endif  // LISTENFDS_NATIVE_USERS_H_
