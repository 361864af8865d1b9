{
  "targets": [
    {
      "target_name": "listenfds",
      "sources": [
        "native/accept-queue-answer.cc",
        "native/accept-queue.cc",
        "native/addon.cc",
        "native/address.cc",
        "native/call.cc",
        "native/closer.cc",
        "native/control.cc",
        "native/descriptor.cc",
        "native/end-as.cc",
        "native/facts.cc",
        "native/files.cc",
        "native/fortify.cc",
        "native/inet.cc",
        "native/launch.cc",
        "native/message-queue.cc",
        "native/message.cc",
        "native/notify.cc",
        "native/peer.cc",
        "native/poll.cc",
        "native/process.cc",
        "native/runtime.cc",
        "native/send.cc",
        "native/sender.cc",
        "native/socket-address.cc",
        "native/socket.cc",
        "native/status.cc",
        "native/users.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "_GNU_SOURCE"],
      "cflags_cc": [
        "-std=c++17",
        "-Os",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-asynchronous-unwind-tables",
        "-fno-unwind-tables",
        "-fvisibility=hidden",
        "-ffunction-sections",
        "-fdata-sections",
        "-fstack-protector-strong",
        "-fstack-clash-protection",
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=3",
        "-D_GLIBCXX_ASSERTIONS",
        "-Wall",
        "-Wextra"
      ],
      "ldflags": [
        "-Wl,-z,relro",
        "-Wl,-z,now",
        "-Wl,-z,nodelete",
        "-Wl,-z,noexecstack",
        "-Wl,--gc-sections",
        "-Wl,--as-needed"
      ],
      "conditions": [
        ["OS!='linux'", { "type": "none" }],
        ["target_arch=='x64'", { "cflags_cc": ["-fcf-protection=full", "-fno-plt"] }],
        ["target_arch=='arm64'", { "cflags_cc": ["-mbranch-protection=standard"] }]
      ]
    }
  ]
}
