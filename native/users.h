// The numbers of users and groups, through nss, like getent(1).
#ifndef LISTENFDS_NATIVE_USERS_H_
#define LISTENFDS_NATIVE_USERS_H_

#include "call.h"

// userId(name) -> number | null where there is none | -errno; groupId likewise
napi_value UserId(Call& call);
napi_value GroupId(Call& call);

#endif  // LISTENFDS_NATIVE_USERS_H_
