// swift-tools-version: 6.2
import PackageDescription

// Swift 6 language mode and warnings as errors everywhere; in release, no dynamic exclusivity checks (hot
// state lives behind raw pointers, bounds checks stay).
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

// Where a request, a value or a tick passes, a release also optimises across targets. The rooms above do
// without it, because it doubles the time that they take to build.
let hot =
    strict + [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]

/// One room of the design that no request passes: its name and the rooms below it that it may import.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// A room that a request, a value or a tick passes.
func hotRoom(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: hot)
}

/// The tests of one room, in Swift Testing.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "weir",
    products: [.executable(name: "weir", targets: ["weir"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl"),
        hotRoom("Wire"),
        hotRoom("Metrics"),
        hotRoom("Statistics", ["Metrics"]),
        hotRoom("Rollout", ["Metrics", "Statistics"]),
        hotRoom("Payload"),
        hotRoom("Platform", ["CLinux"]),
        hotRoom("Proxy", ["Platform", "Wire", "Metrics"]),
        room("Calls", ["Platform", "Wire", "Payload", "COpenSSL"]),
        room(
            "Config",
            [
                "Payload", "Proxy", "Platform", "Wire", "Metrics", "Statistics", "Rollout", "COpenSSL",
                "Yams",
            ]),
        room(
            "Control",
            [
                "Config", "Proxy", "Platform", "Wire", "Metrics", "Statistics", "Rollout", "Payload",
                "COpenSSL",
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Sidecar",
            [
                "Control", "Config", "Calls", "Proxy", "Platform", "Wire", "Metrics", "Rollout", "Payload",
                "COpenSSL",
                .product(name: "Logging", package: "swift-log"),
            ]),
        hotRoom("Load", ["Platform", "Wire", "Metrics", "Statistics"]),
        room(
            "Demo",
            ["Sidecar", "Control", "Config", "Load", "Proxy", "Payload", "Platform", "Wire", "Metrics"]),
        .executableTarget(
            name: "weir",
            dependencies: [
                "Sidecar", "Control", "Config", "Load", "Demo", "Payload", "Platform",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "bench-simulate", dependencies: ["Rollout", "Statistics", "Metrics", "Platform"],
            path: "bench/Simulate", swiftSettings: strict),
        .executableTarget(
            name: "bench-load", dependencies: ["Load", "Metrics", "Platform"], path: "bench/Load",
            swiftSettings: strict),
        // Messages, good and hostile, that the tests of several rooms send.
        .target(name: "Corpora", path: "Tests/Corpora", swiftSettings: strict),
        tests("WireTests", ["Wire", "Corpora"]),
        tests("MetricsTests", ["Metrics"]),
        tests("StatisticsTests", ["Statistics", "Metrics"]),
        tests("RolloutTests", ["Rollout", "Statistics", "Metrics"]),
        tests("PayloadTests", ["Payload"]),
        tests("PlatformTests", ["Platform"]),
        tests("ProxyTests", ["Proxy", "Platform", "Wire", "Metrics", "Corpora"]),
        .target(
            name: "ConfigSamples", dependencies: ["Config", "Platform"], path: "Tests/ConfigSamples",
            swiftSettings: strict),
        tests(
            "ConfigTests",
            [
                "Config", "ConfigSamples", "Payload", "Proxy", "Platform", "Wire", "Metrics", "Statistics",
                "Rollout",
            ]),
        tests(
            "ControlTests",
            [
                "Sidecar", "Calls", "Control", "Config", "ConfigSamples", "Proxy", "Rollout", "Payload",
                "Platform", "Wire", "Metrics",
            ]),
        tests("LoadTests", ["Load", "Platform", "Wire"]),
        tests("DemoTests", ["Demo", "Sidecar", "Control", "Config", "Load", "Payload", "Platform"]),
        tests("TidyTests", []),
    ]
)
