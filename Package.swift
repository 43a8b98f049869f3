// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let metricsTestKit = Target.Dependency.product(name: "MetricsTestKit", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let httpServer = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let httpServerCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let httpCompression = Target.Dependency.product(name: "NIOHTTPCompression", package: "swift-nio-extras")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let sqlite = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqliteCalls = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")

/// What only other packages import, and has an exact version here. On a platform that Baton does not run on: without a target that names
/// it, each build would warn of a package that nothing uses.
let pinned = [
  ("Algorithms", "swift-algorithms"), ("SwiftASN1", "swift-asn1"), ("AsyncAlgorithms", "swift-async-algorithms"),
  ("Atomics", "swift-atomics"), ("X509", "swift-certificates"), ("Configuration", "swift-configuration"),
  ("StructuredFieldValues", "swift-http-structured-headers"),
  ("NIOExtras", "swift-nio-extras"), ("NIOHTTP2", "swift-nio-http2"),
  ("NIOTransportServices", "swift-nio-transport-services"), ("Numerics", "swift-numerics"),
  ("ServiceContextModule", "swift-service-context"), ("SymbolKit", "swift-docc-symbolkit"),
].map { Target.Dependency.product(name: $0, package: $1, condition: .when(platforms: [.wasi])) }

/// A module of Baton. The targets stand in the order of their layers: a module imports only from above itself.
func module(
  _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, resources: [Resource] = []
) -> Target {
  .target(name: name, dependencies: dependencies, path: path, resources: resources, swiftSettings: strict)
}

/// A module of the simulation, which no program of a production links. Also a debug build optimises it, with its assertions: 20,000 seeds belong to
/// the checks of each change.
func simulated(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  let optimised = SwiftSetting.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))
  return .target(name: name, dependencies: dependencies, swiftSettings: strict + [optimised])
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let package = Package(
  name: "baton",
  products: [
    .executable(name: "baton", targets: ["baton"]),
    .executable(name: "baton-sandbox", targets: ["baton-sandbox"]),
    .executable(name: "baton-bench", targets: ["baton-bench"]),
    .library(name: "AMQPClient", targets: ["AMQPClient"]),
    .library(name: "PostgresClient", targets: ["PostgresClient"]),
  ],
  // Exact versions, also of what these packages need themselves, so that a build today and one in a year are made of the same. Package.resolved
  // is not tracked: it names commits, and a machine that reads its packages from a mirror has other commits for the same versions.
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", exact: "1.7.3"),
    .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
    .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", exact: "1.5.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2"),

    // Needed by the packages above; no target of Baton imports them.
    .package(url: "https://github.com/apple/swift-algorithms", exact: "1.2.1"),
    .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
    .package(url: "https://github.com/apple/swift-async-algorithms", exact: "1.1.4"),
    .package(url: "https://github.com/apple/swift-atomics", exact: "1.3.0"),
    .package(url: "https://github.com/apple/swift-certificates", exact: "1.21.1"),
    .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0"),
    .package(url: "https://github.com/apple/swift-http-structured-headers", exact: "1.7.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
    .package(url: "https://github.com/apple/swift-nio-http2", exact: "1.46.0"),
    .package(url: "https://github.com/apple/swift-nio-transport-services", exact: "1.28.0"),
    .package(url: "https://github.com/apple/swift-numerics", exact: "1.1.1"),
    .package(url: "https://github.com/apple/swift-service-context", exact: "1.5.1"),
    .package(url: "https://github.com/swiftlang/swift-docc-symbolkit", exact: "1.0.0"),
  ],
  targets: [
    .systemLibrary(name: "CRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
    .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CLinux"),
    // Replaces clocks and random numbers of the program that links it: only the simulator does.
    .target(name: "CSimulation"),

    module("Primitives", [crypto]),
    module("Reviews", ["Primitives"]),
    module("Certificates", ["COpenSSL"]),
    module("HTTPTrust", ["Certificates", nio, nioPosix, nioSSL]),
    module("PollExecutor", ["CLinux"]),
    module("Resilience", [deque]),
    module("CrashPoints"),
    module("Telemetry", ["CLinux", "Resilience", "Primitives", "Reviews", deque, lifecycle, log, metrics]),
    module("Spans", ["Primitives", "Reviews", tracing]),
    module(
      "SpanExport",
      [
        "HTTPTrust", "Primitives", "Resilience", "Spans", "Telemetry", deque, httpClient, lifecycle, log, nio, nioHTTP,
        tracing,
      ]),
    module(
      "HTTPKit",
      [
        "Primitives", "Resilience", "Telemetry", httpServer, httpServerCore, httpTypes, nio, nioHTTP, lifecycle, log,
      ]),
    module("AMQPClient", ["CRabbitMQ", "Certificates", "PollExecutor", "Resilience", deque, log]),
    module("PostgresClient", ["CPostgres", "Certificates", "PollExecutor", "Resilience", deque, log]),

    module(
      "ReviewStore", ["CrashPoints", "PostgresClient", "Resilience", "Primitives", "Reviews", log],
      resources: [.embedInCode("Migrations")]),
    simulated("InMemoryReviewStore", ["Primitives", "Resilience", "ReviewStore", "Reviews"]),
    module("ReviewQueue", ["AMQPClient", "Resilience", "Primitives", "Reviews", log]),
    simulated("InMemoryReviewQueue", ["Primitives", "Resilience", "ReviewQueue", "Reviews", deque]),
    module(
      "Settings",
      [
        "Certificates", "Primitives", "ReviewQueue", "ReviewStore", "Reviews", "Telemetry",
        .product(name: "Yams", package: "Yams"),
      ]),
    module("WorkerAPI", ["Primitives", "Reviews", crypto]),
    module(
      "WorkerClient",
      [
        "CrashPoints",
        "Spans",
        "HTTPTrust", "Resilience", "Primitives", "Reviews", "WorkerAPI", deque, nio, nioHTTP, nioPosix, nioTLS, nioSSL,
        log,
      ]),
    module(
      "Platforms",
      [
        "CrashPoints",
        "Spans",
        "Certificates", "HTTPTrust", "Resilience", "Primitives", "Reviews", "WorkerAPI", crypto, cryptoExtras,
        httpClient, httpCompression, nio,
        nioHTTP,
        log,
      ],
      resources: [.embedInCode("Templates")]),
    module(
      "Dispatching",
      [
        "CrashPoints",
        "Spans",
        "Platforms", "Resilience", "Primitives", "Reviews", "ReviewQueue", "ReviewStore", "Telemetry",
        "WorkerAPI", "WorkerClient", deque, lifecycle, log,
      ]),
    module(
      "ReferenceWorker",
      [
        "Spans",
        "CLinux", "HTTPKit", "HTTPTrust", "Primitives", "Resilience", "Reviews", "Telemetry", "WorkerAPI", httpClient,
        httpServer,
        httpTypes, nio, nioHTTP, lifecycle, log, sqlite, sqliteCalls, subprocess, system,
      ]),
    module(
      "BatonServer",
      [
        "Certificates", "Spans", "HTTPKit", "HTTPTrust", "Platforms", "Primitives", "Resilience", "ReviewQueue",
        "ReviewStore",
        "Reviews", "Telemetry", "WorkerAPI", "WorkerClient", crypto, httpClient, httpServer, httpServerCore, httpTypes,
        nio, nioHTTP, lifecycle, log,
      ], resources: [.embedInCode("API/OpenAPI"), .embedInCode("Dashboard/Assets")]),
    .target(
      name: "Sandbox",
      dependencies: [
        "HTTPKit", "Primitives", "Reviews", "WorkerAPI", crypto, httpClient, httpServer, httpTypes, nio, nioHTTP,
        lifecycle, log,
      ],
      exclude: ["Recorded/NOTICE.txt"], swiftSettings: strict),
    module(
      "Assembly",
      [
        "AMQPClient", "BatonServer", "Certificates", "Dispatching", "HTTPKit", "HTTPTrust", "Platforms",
        "PostgresClient",
        "Primitives", "ReferenceWorker", "Resilience", "ReviewQueue", "ReviewStore", "Reviews", "Settings",
        "SpanExport", "Spans", "Telemetry", "WorkerAPI", "WorkerClient",
        httpClient, lifecycle, nio, nioPosix, unixSignals, log,
      ]),
    // Apart from `baton`, which holds no recorded data. Not a dependency of it: then its modules would be linked into `baton`.
    .executableTarget(
      name: "baton-sandbox",
      dependencies: [
        "Primitives", "Reviews", "Sandbox", "Telemetry", "WorkerAPI", arguments, lifecycle, unixSignals, log,
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "baton",
      dependencies: [
        "Assembly", "BatonServer", "CLinux", "Dispatching", "HTTPTrust", "Platforms", "Primitives", "ReferenceWorker",
        "Resilience", "ReviewQueue", "ReviewStore", "Reviews", "Settings", "Telemetry", "WorkerAPI", "WorkerClient",
        arguments, httpClient, lifecycle, log, subprocess, system,
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "baton-bench",
      dependencies: [
        "Assembly", "Dispatching", "Platforms", "Primitives", "Reviews", "Settings", "Telemetry", "WorkerAPI", log,
      ] + pinned,
      swiftSettings: strict),

    simulated(
      "Simulation",
      [
        "CSimulation", "Dispatching", "InMemoryReviewQueue", "InMemoryReviewStore", "Platforms", "Primitives",
        "Resilience", "ReviewQueue",
        "ReviewStore", "Reviews", "Telemetry", "WorkerAPI", "WorkerClient", heap, lifecycle, log, metrics,
      ]),
    .executableTarget(
      name: "baton-simulate", dependencies: ["Simulation", arguments], swiftSettings: strict),

    // The examples of the two clients' documentation, as a user of the packages compiles them; tests hold the pages to them.
    .executableTarget(name: "amqp-example", dependencies: ["AMQPClient", log], path: "Sources/Examples/AMQPClient"),
    .executableTarget(
      name: "postgres-example", dependencies: ["PostgresClient", log], path: "Sources/Examples/PostgresClient"),

    module(
      "Support",
      [
        "AMQPClient", "PostgresClient", "Resilience", "ReviewQueue", "ReviewStore", "Primitives", "Reviews",
        "WorkerAPI", crypto, nio, nioHTTP, nioPosix, nioSSL, log,
      ], path: "Tests/Support", resources: [.copy("RecordedWebhooks")]),
    tests("CertificatesTests", ["Certificates", "Support"]),
    tests("PollExecutorTests", ["PollExecutor"]),
    tests("ResilienceTests", ["Resilience", "Support"]),
    tests("HTTPKitTests", ["HTTPKit", "Support", httpServer, nio, log]),
    tests(
      "TelemetryTests", ["Primitives", "Reviews", "Support", "Telemetry", lifecycle, log, metrics, metricsTestKit]),
    tests(
      "SettingsTests",
      [
        "AMQPClient", "PostgresClient", "Primitives", "ReviewQueue", "ReviewStore", "Reviews", "Settings", "Support",
        "Telemetry",
      ]),
    tests("PrimitivesTests", ["Primitives", "Reviews"]),
    tests(
      "SpanExportTests",
      [
        "Primitives", "Resilience", "Reviews", "SpanExport", "Spans", "Support", "Telemetry", log, nio, nioHTTP,
        tracing,
      ]),
    tests("ReviewsTests", ["Primitives", "Reviews"]),
    tests("AMQPClientTests", ["AMQPClient", "CRabbitMQ", "PollExecutor", "Support"]),
    tests("PostgresClientTests", ["PostgresClient", "Resilience", "Support", log]),
    tests(
      "ReviewStoreTests",
      ["InMemoryReviewStore", "PostgresClient", "Primitives", "ReviewStore", "Reviews", "Support", log]),
    tests("WorkerAPITests", ["Primitives", "Reviews", "WorkerAPI", crypto]),
    tests("SimulationTests", []),
    tests(
      "ReviewQueueTests", ["InMemoryReviewQueue", "Primitives", "Resilience", "ReviewQueue", "Reviews", "Support"]),
    tests(
      "DispatchingTests",
      [
        "Dispatching", "InMemoryReviewQueue", "InMemoryReviewStore", "Platforms", "Primitives", "Resilience",
        "ReviewQueue", "ReviewStore", "Reviews", "Support", "Telemetry", "WorkerAPI", "WorkerClient", lifecycle, log,
      ]),
    tests(
      "WorkerClientTests",
      [
        "HTTPTrust", "Primitives", "Reviews", "Support", "WorkerAPI", "WorkerClient", httpClient, nio, nioHTTP,
        nioPosix, nioSSL, log,
      ]),
    tests(
      "ReferenceWorkerTests",
      [
        "HTTPKit", "HTTPTrust", "ReferenceWorker", "Resilience", "Primitives", "Reviews", "Support", "Telemetry",
        "WorkerAPI",
        "WorkerClient", httpClient, httpServer, httpTypes, nio, nioHTTP, lifecycle, log, sqlite,
      ]),
    tests(
      "BatonTests",
      [
        "baton", "AMQPClient", "PostgresClient", "ReviewStore", "Primitives", "Reviews", "Settings", "Spans",
        "Telemetry",
        .product(name: "Yams", package: "Yams"),
        arguments,
      ]),
    tests(
      "PlatformsTests",
      [
        "HTTPTrust", "Platforms", "Resilience", "Primitives", "Reviews", "Sandbox", "Support", "WorkerAPI", crypto,
        cryptoExtras,
        httpClient,
        httpServer, httpTypes, nio, nioHTTP, nioSSL, lifecycle, log,
      ], resources: [.copy("Fixtures")]),
    tests("AssemblyTests", ["Assembly", "Dispatching", "ReviewStore", "Settings", httpClient, lifecycle, log]),
    tests(
      "SandboxTests",
      ["Primitives", "Reviews", "Sandbox", "WorkerAPI", httpClient, httpTypes, nio, nioHTTP, lifecycle, log]),
    tests(
      "BatonServerTests",
      [
        "AMQPClient", "BatonServer", "HTTPKit", "Platforms", "PostgresClient", "Resilience", "ReviewQueue",
        "ReviewStore",
        "Primitives", "Reviews",
        "Support", "Telemetry", "WorkerAPI", httpServer, httpTypes, lifecycle, log, nio,
      ]),
    tests(
      "IntegrationTests",
      [
        "AMQPClient", "Assembly", "BatonServer", "Dispatching", "PollExecutor", "Platforms", "PostgresClient",
        "Sandbox",
        httpClient, crypto, cryptoExtras,
        "Resilience", "ReviewQueue", "ReviewStore", "Primitives", "Reviews", "Support", "Telemetry", "WorkerAPI",
        "WorkerClient",
        log,
      ]),
    // With the corpora of `deploy/prove fuzz`, which makes a program for libFuzzer of the same files.
    tests(
      "FuzzTests",
      [
        "AMQPClient", "BatonServer", "CRabbitMQ", "HTTPKit", "Platforms", "PostgresClient", "Primitives",
        "ReferenceWorker", "ReviewQueue", "ReviewStore", "Reviews", "Settings", "Telemetry", "WorkerAPI",
        "WorkerClient", "baton", httpServerCore, httpTypes, log, nio, nioHTTP,
      ], resources: [.copy("Corpus")]),
    tests(
      "FaultTests",
      [
        "CrashPoints",
        "AMQPClient", "Platforms", "PostgresClient", "ReviewQueue", "ReviewStore", "Primitives", "Reviews", "Sandbox",
        "Spans", "Support",
        "WorkerAPI", "WorkerClient", log,
      ]),
  ],
  swiftLanguageModes: [.v6]
)
