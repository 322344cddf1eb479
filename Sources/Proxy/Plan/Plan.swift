// The plan: the immutable routing decision that control publishes and every core obeys. Values only; a
// core compiles its private copy into flat tables (Assign, Upstream) when it takes the plan over.
//
// Slots (`ModelSlot`, `VersionSlot`, `EndpointSlot`) are the identities that outlive a plan: control gives
// the same model, version or endpoint the same slot in every plan, so that counters, switches and pools
// stay where they are while weights, rules and limits change around them.

import Platform

/// Index of a model's switches; stable over plans. Below `Limits.modelsMax`.
public typealias ModelSlot = Int
/// Index of a version's meter; stable over plans. Below `Limits.versionsMax`.
public typealias VersionSlot = Int
/// Index of an endpoint's pool and health word; stable over plans. Below `Limits.endpointsMax`.
public typealias EndpointSlot = Int

/// Everything a core needs to assign and relay requests.
public struct Plan: Sendable, Equatable {
    /// Grows by one per publication; a core reports the epoch it obeys.
    public var epoch: UInt64
    /// At most `Limits.modelsMax`; the most specific match wins (longest prefix, host before no host).
    public var models: [ModelPlan]
    /// Peers whose forced versions and x-forwarded-for are believed.
    public var trusted: [AddressRange]
    /// Share of ordinary exchanges that enter the access log, in parts per million; failures always do.
    /// nil: nobody reads a log, and no record is made.
    public var accessLogPPM: UInt32?

    public init(epoch: UInt64, models: [ModelPlan], trusted: [AddressRange], accessLogPPM: UInt32?) {
        self.epoch = epoch
        self.models = models
        self.trusted = trusted
        self.accessLogPPM = accessLogPPM
    }
}

/// A CIDR block, in the 128-bit form of `IPAddress`: IPv4 /8 is prefix 104.
public struct AddressRange: Sendable, Hashable {
    public var base: IPAddress
    /// 0...128 leading bits that must agree.
    public var prefixBits: Int

    public init(base: IPAddress, prefixBits: Int) {
        precondition((0...128).contains(prefixBits))
        self.base = base
        self.prefixBits = prefixBits
    }
}

/// One routed service: its match, its versions and how requests are spread over them.
public struct ModelPlan: Sendable, Equatable {
    public var slot: ModelSlot
    public var name: String
    /// Any of these makes a request this model's.
    public var matches: [RouteMatch]
    /// 1...`Limits.versionsPerModelMax`; an index into this array is a `VersionIndex`.
    public var versions: [VersionPlan]
    /// Index of the stable version.
    public var stable: Int
    /// Index of a part of stable that is measured by itself, where there is one. Sticky keys know one stable:
    /// which of them fall to it is as it would be without the part.
    public var control: Int?
    public var cohorts: [CohortPlan]
    /// The first present key decides; empty: a random split.
    public var stickyKeys: [StickyKey]
    /// Seed of the rendezvous hash; a new salt deals every key anew.
    public var salt: UInt64
    public var shadow: ShadowPlan?
    /// Which exchanges are copied for control; nil: none, not even failures.
    public var tap: TapPlan?
    public var timeouts: Timeouts
    public var retries: RetryPlan
    /// Whether a candidate's failure before the first response byte is retried on stable.
    public var shield: Bool
    /// What it means that a client closes its side while its answer is due.
    public var clientHalfClose: ClientHalfClose
    /// Whether answers with 4xx are failures of their version.
    public var clientErrors: ClientErrors
    /// Whether responses carry `x-weir-version`, and `x-weir-id`.
    public var sendsVersion: Bool
    public var sendsID: Bool
    /// Sent as `x-weir-epoch` where not nil: changes with every cut and promotion of the model.
    public var epochHeader: UInt32?
    /// Where not 0, every version counts its different sticky keys; another number begins anew.
    public var keyRound: UInt64

    /// The name of a version that clients and logs are told: of the part of stable it is stable's, because
    /// nobody can name the part.
    public func label(of version: Int) -> String { versions[version == control ? stable : version].name }

    public init(
        slot: ModelSlot, name: String, matches: [RouteMatch], versions: [VersionPlan], stable: Int,
        control: Int? = nil, cohorts: [CohortPlan] = [], stickyKeys: [StickyKey] = [], salt: UInt64 = 0,
        shadow: ShadowPlan? = nil, tap: TapPlan? = nil, timeouts: Timeouts = Timeouts(),
        retries: RetryPlan = RetryPlan(),
        shield: Bool = true, clientHalfClose: ClientHalfClose = .cancel,
        clientErrors: ClientErrors = .ignore, sendsVersion: Bool = true, sendsID: Bool = false,
        epochHeader: UInt32? = nil, keyRound: UInt64 = 0
    ) {
        self.slot = slot
        self.name = name
        self.matches = matches
        self.versions = versions
        self.stable = stable
        self.control = control
        self.cohorts = cohorts
        self.stickyKeys = stickyKeys
        self.salt = salt
        self.shadow = shadow
        self.tap = tap
        self.timeouts = timeouts
        self.retries = retries
        self.shield = shield
        self.clientHalfClose = clientHalfClose
        self.clientErrors = clientErrors
        self.sendsVersion = sendsVersion
        self.sendsID = sendsID
        self.epochHeader = epochHeader
        self.keyRound = keyRound
    }
}

/// Which requests are a model's.
public struct RouteMatch: Sendable, Hashable {
    /// Lower-case host without port; nil matches any.
    public var host: String?
    public var path: PathMatch

    /// How a request's path is compared, byte by byte and never decoded.
    public enum PathMatch: Sendable, Hashable {
        case exact(String)
        /// Matches the path itself and everything below it, at segment borders ("/m" does not match "/mx";
        /// it does match "/m:predict" and "/m/infer"). "/" matches everything.
        case prefix(String)
    }

    public init(host: String?, path: PathMatch) {
        self.host = host
        self.path = path
    }
}

/// One immutable release of a model.
public struct VersionPlan: Sendable, Equatable {
    public var slot: VersionSlot
    /// Unique in its model: what keys are dealt by, and what ids of exchanges stand for. Clients and logs are
    /// told `ModelPlan.label(of:)`.
    public var name: String
    /// Parts per million; a model's versions sum to 1,000,000.
    public var weightPPM: UInt32
    /// A quarantined version gets no traffic at all, by no rule.
    public var isQuarantined: Bool
    public var endpoints: [EndpointPlan]
    public var rewrite: RewritePlan
    /// Requests in flight, over all cores; 0: none, and none waits. Exact where it is small (less than
    /// `Limits.sharePerCoreMin` for each core), else each core takes an equal part.
    public var inFlightMax: Int
    /// Requests that may wait for a place, over all cores and bounded likewise, and for how long; 0: none.
    public var queueMax: Int
    public var queueTimeout: Interval
    public var ejection: EjectionPlan
    /// How long a returning endpoint's share ramps up.
    public var slowStart: Interval

    public init(
        slot: VersionSlot, name: String, weightPPM: UInt32, isQuarantined: Bool = false,
        endpoints: [EndpointPlan], rewrite: RewritePlan = RewritePlan(), inFlightMax: Int = 4096,
        queueMax: Int = 1024, queueTimeout: Interval = .seconds(1),
        ejection: EjectionPlan = EjectionPlan(), slowStart: Interval = .zero
    ) {
        self.slot = slot
        self.name = name
        self.weightPPM = weightPPM
        self.isQuarantined = isQuarantined
        self.endpoints = endpoints
        self.rewrite = rewrite
        self.inFlightMax = inFlightMax
        self.queueMax = queueMax
        self.queueTimeout = queueTimeout
        self.ejection = ejection
        self.slowStart = slowStart
    }
}

/// One address that serves a version.
public struct EndpointPlan: Sendable, Hashable {
    public var slot: EndpointSlot
    public var address: SocketAddress
    /// Whether active checks ask it. Then it serves from its first passed check on.
    public var isChecked: Bool

    public init(slot: EndpointSlot, address: SocketAddress, isChecked: Bool = false) {
        self.slot = slot
        self.address = address
        self.isChecked = isChecked
    }
}

/// What is changed in a request on its way to a version.
public struct RewritePlan: Sendable, Hashable {
    /// Replaces the path prefix `from` by `to`.
    public var pathPrefix: PathPrefix?
    /// Replaces Host.
    public var host: String?
    /// Added after removal; names lower-case.
    public var addHeaders: [HeaderPair]
    /// Removed; names lower-case.
    public var removeHeaders: [String]

    /// A prefix and what stands in its place.
    public struct PathPrefix: Sendable, Hashable {
        public var from: String
        public var to: String
        public init(from: String, to: String) {
            self.from = from
            self.to = to
        }
    }

    /// A field line to be.
    public struct HeaderPair: Sendable, Hashable {
        public var name: String
        public var value: String
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(
        pathPrefix: PathPrefix? = nil, host: String? = nil, addHeaders: [HeaderPair] = [],
        removeHeaders: [String] = []
    ) {
        self.pathPrefix = pathPrefix
        self.host = host
        self.addHeaders = addHeaders
        self.removeHeaders = removeHeaders
    }
}

/// Requests that a rule pins to a version before weights are looked at.
public struct CohortPlan: Sendable, Equatable {
    public var name: String
    /// All must hold.
    public var conditions: [Condition]
    /// Index into the model's versions.
    public var version: Int

    public init(name: String, conditions: [Condition], version: Int) {
        self.name = name
        self.conditions = conditions
        self.version = version
    }
}

/// One test of a request.
public enum Condition: Sendable, Hashable {
    /// Header names are lower-case; values are compared case-sensitively.
    case header(name: String, ValueMatch)
    case cookie(name: String, ValueMatch)
    case query(name: String, ValueMatch)
    case path(ValueMatch)
    /// Upper-case method.
    case method(String)
    /// The client's address (of the last untrusted hop when the peer is trusted).
    case address([AddressRange])

    /// How a value is compared, byte by byte.
    public enum ValueMatch: Sendable, Hashable {
        case present
        case exact(String)
        case prefix(String)
        /// A regular expression over bytes, matched anywhere unless anchored; validated by
        /// `Pattern(_:)`, which compiles to a table with linear time in the value.
        case regex(String)
    }
}

/// Where a sticky key is read from.
public enum StickyKey: Sendable, Hashable {
    case header(String)
    case cookie(String)
    case query(String)
    case clientAddress
}

/// A copy of requests to another version whose responses nobody gets.
public struct ShadowPlan: Sendable, Equatable {
    /// Index into the model's versions.
    public var version: Int
    /// Share of eligible requests, parts per million.
    public var ppm: UInt32
    /// Only requests for which all hold; empty: all.
    public var conditions: [Condition]
    /// Largest body copied, per request.
    public var bodyBytesMax: Int
    /// Copies in flight, over all cores and bounded as `VersionPlan.inFlightMax`; 0: none.
    public var inFlightMax: Int
    /// A copy older than this is given up.
    public var ageMax: Interval
    /// Whether copies are counted beside their primaries, for whoever judges the version by them.
    public var isCompared: Bool

    public init(
        version: Int, ppm: UInt32, conditions: [Condition] = [], bodyBytesMax: Int = 1 << 20,
        inFlightMax: Int = 256, ageMax: Interval = .seconds(10), isCompared: Bool = true
    ) {
        self.version = version
        self.ppm = ppm
        self.conditions = conditions
        self.bodyBytesMax = bodyBytesMax
        self.inFlightMax = inFlightMax
        self.ageMax = ageMax
        self.isCompared = isCompared
    }
}

/// Which exchanges of a model are copied for control, as far as there are slots for the copies.
public struct TapPlan: Sendable, Hashable {
    /// Share that is drawn, whatever the version, parts per million. Failures are always copied.
    public var ppm: UInt32
    /// Bytes kept of each body, at most `Limits.tapBodyBytes`.
    public var bodyBytesMax: Int
    /// Besides, on each core, a version's next exchange whenever so much time has passed since the last one
    /// that was copied for this; nil: none.
    public var recentEvery: Interval?

    public init(ppm: UInt32, bodyBytesMax: Int = Limits.tapBodyBytes, recentEvery: Interval? = nil) {
        self.ppm = ppm
        self.bodyBytesMax = bodyBytesMax
        self.recentEvery = recentEvery
    }
}

/// What Weir does when a client closes its side (FIN) before it has its answer. The FIN alone does not say
/// whether the client still reads.
public enum ClientHalfClose: String, Sendable, Hashable, CaseIterable {
    /// The client has left: the exchange ends, and its upstream connection closes, so that the model server
    /// can stop working on it.
    case cancel
    /// The client may still read: it gets its answer.
    case ignore
}

/// What answers with 4xx say of the version that gave them.
public enum ClientErrors: String, Sendable, Hashable, CaseIterable {
    /// They are failures, in every rule; the outcome's word stays `client_error`.
    case count
    /// They are no failures: clients make mistakes. Rules that compare versions see a difference.
    case ignore
}

/// The time limits of an exchange; each has its own outcome and reply.
public struct Timeouts: Sendable, Hashable {
    public var connect: Interval
    /// Request sent to first response byte (504).
    public var firstByte: Interval
    /// Silence inside a response.
    public var idle: Interval

    public init(
        connect: Interval = .seconds(1), firstByte: Interval = .seconds(60), idle: Interval = .seconds(60)
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.idle = idle
    }
}

/// When a request may be sent again to the same version.
public struct RetryPlan: Sendable, Hashable {
    /// Attempts beyond the first, shielding included.
    public var attemptsMax: Int
    /// Retries as a share of requests, parts per million; a floor of three a second always stands.
    public var budgetPPM: UInt32
    /// Whether requests with methods that are not idempotent (POST) may be repeated on the same version
    /// after bytes were sent. Failed connects are always repeated.
    public var nonIdempotent: Bool

    public init(attemptsMax: Int = 2, budgetPPM: UInt32 = 200_000, nonIdempotent: Bool = false) {
        self.attemptsMax = attemptsMax
        self.budgetPPM = budgetPPM
        self.nonIdempotent = nonIdempotent
    }
}

/// When an endpoint that fails real requests is left alone for a while.
public struct EjectionPlan: Sendable, Hashable {
    /// Failures in a row (connect, reset, timeout, 5xx) that eject; 0 turns ejection off.
    public var consecutiveFailures: Int
    /// First ejection; doubles with each, up to `timeMax`, and one doubling is forgiven for every `time` that
    /// the endpoint serves again.
    public var time: Interval
    public var timeMax: Interval

    public init(
        consecutiveFailures: Int = 5, time: Interval = .seconds(10), timeMax: Interval = .seconds(300)
    ) {
        self.consecutiveFailures = consecutiveFailures
        self.time = time
        self.timeMax = timeMax
    }
}
