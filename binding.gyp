{
  "targets": [
    {
      "target_name": "listenfds",
      "sources": [
        "native/addon.cc",
        "native/address.cc",
        "native/control.cc",
        "native/descriptor.cc",
        "native/listener.cc",
        "native/files.cc",
        "native/inet.cc",
        "native/notify.cc",
        "native/predicates.cc",
        "native/peer.cc",
        "native/process.cc",
        "native/queue.cc",
        "native/message.cc",
        "native/mqueue.cc",
        "native/poll.cc",
        "native/socket.cc",
        "native/socket-address.cc",
        "native/stream.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags_cc": [
        "-std=c++17",
        "-Os",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-asynchronous-unwind-tables",
        "-fvisibility=hidden",
        "-ffunction-sections",
        "-fdata-sections",
        "-fstack-protector-strong",
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=2",
        "-Wall",
        "-Wextra"
      ],
      "ldflags": [
        "-Wl,-z,relro",
        "-Wl,-z,now",
        "-Wl,-z,noexecstack",
        "-Wl,--gc-sections",
        "-Wl,--as-needed"
      ],
      "conditions": [["OS!='linux'", { "type": "none" }]]
    }
  ]
}
