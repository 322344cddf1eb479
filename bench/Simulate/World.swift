// Traffic in which requests are not independent: replicas that pause or fail by themselves, queues of their
// own, outages that both versions share, keys that stay with a version, cold starts, long streams. Requests
// are drawn one by one and read as control reads the evidence rings: by the tick of their start, as far as
// they have come by now.
// Invariant: unless a row changes it, the versions of a world are equal, so a cut is a false one.

import Glibc
import Metrics
import Rollout

/// What a world is like. Times in seconds from the start of the rollout.
struct Setting: Sendable {
    /// Requests a second, and the candidate's share of them.
    var rate = 100.0
    var weight = 0.09
    var candidateEndpoints = 1
    var stableEndpoints = 10
    /// The endpoints of a control arm with as much weight as the candidate; nil: there is none.
    var controlEndpoints: Int?
    /// A run ends where the control arm is withdrawn, which is what the row counts.
    var tellsControl = false
    var minutes = 30.0
    /// Seconds of stable alone before the rollout.
    var lead = 60.0
    /// A request's time: lognormal around 50 ms.
    var sigma = 0.5
    /// The load of endpoints that serve one request at a time, in order; nil: they serve any number at once.
    var load: Double?
    /// Every endpoint pauses, or fails, this long, this often on average.
    var pause: (seconds: Double, every: Double, isFailure: Bool)?
    /// Outages of both versions, or of what both depend on.
    var outage: Outage?
    /// Share of requests that fail by themselves.
    var errors = 0.001
    var keys: Keys?
    /// What a request of this world comes to beside that.
    var fate: (@Sendable (inout Request, inout Seeded) -> Void)?
    /// The rules' `tolerates`, in seconds; nil: as the number of endpoints says.
    var tolerates: Double?
    /// Ticks between two steps of control.
    var stepTicks: UInt64 = 1
    /// When the candidate gets all weight; nil: never.
    var promotedAt: Double?
    /// Whether stable is asked again for what the candidate fails.
    var isShielded = false
    /// Share of these that the shield's budget lets through.
    var asked = 1.0
    /// Share of these that stable fails from the change on; nil: as many as of others.
    var errorsAtStable: Double?
    /// When the candidate changes for the worse; 0: never, or from the start.
    var changesAt = 0.0

    struct Outage: Sendable {
        /// Seconds between two, on average; nil: one alone, at ten minutes.
        var every: Double?
        var seconds: Double
        /// Share of requests that it hits.
        var hits: Double
        /// How long a hit request takes.
        var micros: UInt64 = 20_000
    }

    struct Keys: Sendable {
        var count: Int
        /// How unequal keys are: key k sends a share of 1/k to this power.
        var zipf = 1.0
        /// Standard deviation of the logarithm of keys' own error rates.
        var spread = 0.0
        /// Share of keys whose every request fails.
        var broken = 0.0
        /// Whether all error rates wander over the hours.
        var drifts = false
    }
}

/// A request of a world.
struct Request {
    var isCandidate: Bool
    /// Whether stable's control arm serves it.
    var isControl = false
    /// Seconds since the rollout's start; negative before it.
    var at: Double
    /// Requests of the candidate before this one.
    var index: Int
    var key = -1
    var micros: UInt64
    var firstByteMicros: UInt64?
    var isFailure: Bool
    /// What is bad about it where it has not failed.
    var event: BadEvent?
}

/// One run of a setting.
struct World {
    let setting: Setting
    private var random: Seeded
    /// The tick under way. The rollout starts at `first`, after a time of stable alone.
    private(set) var now: UInt64 = 1000
    let first: UInt64
    private var buckets: [PairTick]
    private var ends: [[End]]
    private var candidate: [Endpoint]
    private var stable: [Endpoint]
    private var control: [Endpoint]
    /// The control arm's counts and its weight, by tick as `buckets`.
    private var parts: [ArmTick]
    private var partPPM: [UInt32]
    /// Whether the control arm gave its traffic back.
    var isControlWithdrawn = false
    private var outages: (from: Double, to: Double) = (0, 0)
    private var latency = RecentLatency()
    private var partLatency = RecentLatency()
    private var keys: [KeyState] = []
    private var keyTable: CountTable?
    private(set) var candidateRequests = 0
    private(set) var reference: LatencyReference

    private static let ring: UInt64 = 512

    /// What one request adds to its bucket when it ends, or when its first byte comes.
    private struct End {
        var bucket: Int32
        var isCandidate: Bool
        var isControl: Bool
        var isFailure: Bool
        var isExcluded: Bool
        /// Its bad event, failures among these, and which thresholds it had passed when it was cancelled.
        var event: BadEvent?
        var late: UInt8 = 0
        /// A sticky key's event that is not its first, and the first in its minute.
        var isEventKnown = false
        var isEventRenewed = false
        /// A repeated failure of a sticky key, and the first in its minute.
        var isKnown = false
        var isRenewed = false
        /// It only begins its response.
        var isBegin = false
        var hasBegun = false
        var fast: UInt8
    }

    private struct Endpoint {
        var freeAt = 0.0
        var pausedFrom: Double
        var pausedTo: Double
    }

    private struct KeyState {
        var place: Double
        var rate: Double
        var did: UInt8 = 0
        /// The bad events of each kind that it has had, and the minute of the last of them.
        var events: UInt8 = 0
        var eventIn = InlineArray<4, UInt64>(repeating: .max)
        /// The minute of its last failure.
        var failedIn = UInt64.max
    }

    init(_ setting: Setting, _ specs: [GuardrailSpec], _ random: Seeded) {
        self.setting = setting
        self.random = random
        first = 1000 + UInt64(setting.lead * 10)
        reference = LatencyReference(specs: specs)
        let empty = PairTick(tick: Tick(number: 0), split: nil, candidate: ArmTick(), stable: ArmTick())
        buckets = Array(repeating: empty, count: Int(World.ring))
        ends = Array(repeating: [], count: Int(World.ring))
        let never = Endpoint(pausedFrom: -1e9, pausedTo: -1e9)
        candidate = Array(repeating: never, count: setting.candidateEndpoints)
        stable = Array(repeating: never, count: setting.stableEndpoints)
        control = Array(repeating: never, count: setting.controlEndpoints ?? 0)
        parts = Array(repeating: ArmTick(), count: Int(World.ring))
        partPPM = Array(repeating: 0, count: Int(World.ring))
        for i in control.indices { control[i] = paused(never, after: -setting.lead) }
        for i in candidate.indices { candidate[i] = paused(never, after: -setting.lead) }
        for i in stable.indices { stable[i] = paused(never, after: -setting.lead) }
        planOutage(after: 0)
        if let keys = setting.keys {
            keyTable = CountTable(weights: (1...keys.count).map { pow(Double($0), -keys.zipf) })
            for _ in 0..<keys.count {
                let rate = setting.errors * exp(keys.spread * self.random.normal())
                let isBroken = self.random.chance(keys.broken)
                self.keys.append(
                    KeyState(place: self.random.uniform(), rate: isBroken ? 1 : min(rate, 1)))
            }
        }
    }

    /// Runs the tick under way; afterwards `now` is the next.
    mutating func tick() {
        let place = Int(now % World.ring)
        let isUnderWay = now >= first
        let weight = weight
        var pair = PairTick(
            tick: Tick(number: now), split: isUnderWay ? Row.split(weight) : nil,
            candidate: ArmTick(), stable: ArmTick())
        for (slot, micros) in reference.candidateThresholds.enumerated() {
            pair.candidate.thresholds[slot] = micros
        }
        for (slot, micros) in reference.stableThresholds.enumerated() {
            pair.stable.thresholds[slot] = micros
        }
        buckets[place] = pair
        parts[place] = ArmTick(thresholds: pair.stable.thresholds)
        partPPM[place] = isUnderWay ? controlPPM : 0
        for _ in 0..<poisson(setting.rate / 10) { start(place) }
        for end in ends[place] { settle(end) }
        ends[place].removeAll(keepingCapacity: true)
        now += 1
        let isStableGone = setting.promotedAt.map { seconds > $0 } ?? false
        if !isStableGone, reference.isDue(at: Tick(number: now)) {
            let recent = measure
            _ = reference.refresh(now: Tick(number: now), requests: recent.count) { recent.quantile($0) }
        }
        latency.turn(now)
        partLatency.turn(now)
    }

    /// What a control arm has of stable's traffic: as much as the candidate, at most half.
    private var controlPPM: UInt32 {
        guard setting.controlEndpoints != nil, !isControlWithdrawn else { return 0 }
        return UInt32(min(setting.weight, (1 - setting.weight) / 2) * 1_000_000)
    }

    /// Where thresholds are taken from, as control does it.
    private var measure: RecentLatency {
        guard controlPPM > 0, partLatency.count >= 1_000 else { return latency }
        let isGross = [0.5, 0.99].contains { quantile in
            let (ours, theirs) = (partLatency.quantile(quantile) ?? 0, latency.quantile(quantile) ?? 0)
            return Double(ours) > LatencyReference.grossMedians * Double(theirs)
        }
        return isGross ? latency : partLatency
    }

    /// A tick as it looks now; nil where it is forgotten.
    func read(_ tick: Tick) -> PairTick? {
        let pair = buckets[Int(tick.number % World.ring)]
        guard pair.tick == tick else { return nil }
        let part = partPPM[Int(tick.number % World.ring)]
        guard part > 0, let split = pair.split else { return pair }
        return PairTick(
            tick: tick, split: PairSplit(candidatePPM: split.candidatePPM, stablePPM: part),
            candidate: pair.candidate, stable: parts[Int(tick.number % World.ring)])
    }

    /// The control arm beside the rest of stable.
    func readControl(_ tick: Tick) -> PairTick? {
        let pair = buckets[Int(tick.number % World.ring)]
        guard pair.tick == tick else { return nil }
        let part = partPPM[Int(tick.number % World.ring)]
        let split = part > 0 ? pair.split : nil
        return PairTick(
            tick: tick,
            split: split.map { PairSplit(candidatePPM: part, stablePPM: $0.stablePPM - part) },
            candidate: parts[Int(tick.number % World.ring)], stable: pair.stable)
    }

    /// Seconds since the rollout's start.
    private var seconds: Double { (Double(now) - Double(first)) / 10 }

    /// The candidate's share of requests.
    private var weight: Double {
        guard let at = setting.promotedAt, seconds >= at else { return setting.weight }
        return 1
    }

    private mutating func start(_ place: Int) {
        var key = -1
        if let keyTable { key = keyTable.draw(&random) }
        let coin = key >= 0 ? keys[key].place : random.uniform()
        let isCandidate = coin < weight && now >= first
        let at = seconds + 0.1 * random.uniform()
        var request = Request(
            isCandidate: isCandidate, at: at, index: candidateRequests, key: key, micros: 0,
            isFailure: random.chance(errorRate(key, at)))
        let part = Double(partPPM[place]) / 1_000_000
        request.isControl = !isCandidate && now >= first && coin < setting.weight + part
        if isCandidate { candidateRequests += 1 }
        serve(&request)
        if isOutage(at), let outage = setting.outage, random.chance(outage.hits) {
            (request.isFailure, request.micros) = (true, outage.micros)
        }
        setting.fate?(&request, &random)
        if setting.isShielded, isCandidate, request.isFailure { askStable(at, place) }
        note(request, place)
    }

    /// What stable makes of a request that the candidate has failed; it counts at once.
    private mutating func askStable(_ at: Double, _ place: Int) {
        guard setting.asked >= 1 || random.chance(setting.asked) else { return }
        let errors = at < setting.changesAt ? nil : setting.errorsAtStable
        var isBad = random.chance(errors ?? setting.errors)
        if isOutage(at), let outage = setting.outage, random.chance(outage.hits) { isBad = true }
        if isBad { buckets[place].unrescued += 1 } else { buckets[place].rescued += 1 }
    }

    private func errorRate(_ key: Int, _ at: Double) -> Double {
        guard let all = setting.keys else { return setting.errors }
        let wander = all.drifts ? exp(1.5 * sin(at / 1800)) : 1
        return keys[key].rate >= 1 ? 1 : keys[key].rate * wander
    }

    /// The time at an endpoint: its service, the queue before it, its pauses.
    private mutating func serve(_ request: inout Request) {
        let endpoints = request.isCandidate ? candidate : request.isControl ? control : stable
        let count = endpoints.count
        let i = count == 1 ? 0 : Int(random.next() % UInt64(count))
        var endpoint = endpoints[i]
        if request.at > endpoint.pausedTo { endpoint = paused(endpoint, after: request.at) }
        var begin = request.at
        let service: Double
        if let load = setting.load {
            // Every endpoint of the larger version has an equal share of its requests.
            let share = (1 - setting.weight) / Double(setting.stableEndpoints)
            service = -log(1 - random.uniform()) * load / (setting.rate * share)
            begin = max(begin, endpoint.freeAt)
        } else {
            service = 0.05 * exp(setting.sigma * random.normal())
        }
        let isPaused = begin + service > endpoint.pausedFrom && begin < endpoint.pausedTo
        var end = begin + service
        if isPaused, let pause = setting.pause {
            if pause.isFailure {
                request.isFailure = begin >= endpoint.pausedFrom || request.isFailure
            } else {
                end += endpoint.pausedTo - max(begin, endpoint.pausedFrom)
            }
        }
        endpoint.freeAt = end
        if request.isCandidate {
            candidate[i] = endpoint
        } else if request.isControl {
            control[i] = endpoint
        } else {
            stable[i] = endpoint
        }
        request.micros = UInt64((end - request.at) * 1e6)
    }

    /// The endpoint with its next pause planned.
    private mutating func paused(_ endpoint: Endpoint, after: Double) -> Endpoint {
        guard let pause = setting.pause else { return endpoint }
        var next = endpoint
        next.pausedFrom = after - log(1 - random.uniform()) * pause.every
        next.pausedTo = next.pausedFrom + pause.seconds
        return next
    }

    private mutating func isOutage(_ at: Double) -> Bool {
        guard setting.outage != nil else { return false }
        if at >= outages.to { planOutage(after: at) }
        return at >= outages.from && at < outages.to
    }

    private mutating func planOutage(after: Double) {
        guard let outage = setting.outage else { return }
        outages.from =
            outage.every.map { after - log(1 - random.uniform()) * $0 } ?? (after < 600 ? 600 : 1e9)
        outages.to = outages.from + outage.seconds
    }

    /// Counts a request's start, and plans its end.
    private mutating func note(_ request: Request, _ place: Int) {
        let bucket = buckets[place]
        let thresholds = request.isCandidate ? bucket.candidate.thresholds : bucket.stable.thresholds
        if request.isCandidate {
            buckets[place].candidate.randomised.started += 1
        } else if request.isControl {
            parts[place].randomised.started += 1
        } else {
            buckets[place].stable.randomised.started += 1
        }
        var slow: UInt8 = 0
        for slot in 0..<ArmCounts.fastSlots where thresholds[slot] > 0 {
            if request.isFailure || request.micros > UInt64(thresholds[slot]) { slow |= 1 << UInt8(slot) }
        }
        var end = End(
            bucket: Int32(place), isCandidate: request.isCandidate, isControl: request.isControl,
            isFailure: request.isFailure, isExcluded: false,
            event: request.isFailure ? .failure : request.event, fast: ~slow)
        if end.event == .cancelled { (end.isExcluded, end.late, end.fast) = (true, slow, 0) }
        if request.key >= 0 { know(request.key, slow, &end) }
        if request.isControl {
            partLatency.record(request.micros)
        } else if !request.isCandidate {
            latency.record(request.micros)
        }
        let within = request.at - seconds
        let ticks = UInt64((within * 1e6 + Double(request.micros)) / Double(Tick.micros))
        guard ticks < World.ring - 2 else { return }
        if let first = request.firstByteMicros, request.micros > first {
            end.hasBegun = true
            var begin = end
            begin.isBegin = true
            let ticks = UInt64((within * 1e6 + Double(first)) / Double(Tick.micros))
            ends[Int((now + ticks) % World.ring)].append(begin)
        }
        ends[Int((now + ticks) % World.ring)].append(end)
    }

    /// What of a sticky request is its key's first in the rollout, as cores keep it.
    private mutating func know(_ key: Int, _ slow: UInt8, _ end: inout End) {
        guard now >= first else { return }
        let once = UInt8(truncatingIfNeeded: reference.countsKeysOnce.rawValue)
        let events = slow & once | (end.isFailure ? 1 << 6 : 0)
        if let event = end.event {
            let bit: UInt8 = 1 << UInt8(event.rawValue)
            end.isEventKnown = keys[key].events & bit != 0
            end.isEventRenewed = end.isEventKnown && keys[key].eventIn[event.rawValue] != now / 600
            keys[key].events |= event == .failure ? 15 : bit
            keys[key].eventIn[event.rawValue] = now / 600
        }
        let known = events & keys[key].did
        keys[key].did |= events
        end.fast |= known & once
        guard end.isFailure else { return }
        if known & 1 << 6 != 0 {
            (end.isFailure, end.isExcluded, end.isKnown, end.fast) = (false, true, true, 0)
            end.isRenewed = keys[key].failedIn != now / 600
        }
        keys[key].failedIn = now / 600
    }

    private mutating func settle(_ end: End) {
        let i = Int(end.bucket)
        if end.isCandidate {
            World.settle(&buckets[i].candidate.randomised, end)
        } else if end.isControl {
            World.settle(&parts[i].randomised, end)
        } else {
            World.settle(&buckets[i].stable.randomised, end)
        }
    }

    private static func settle(_ counts: inout ArmCounts, _ end: End) {
        if end.isBegin {
            counts.begun += 1
            return
        }
        counts.completed += 1
        if end.hasBegun { counts.begun -= 1 }
        if end.isFailure { counts.failed += 1 }
        if end.isExcluded { counts.excluded += 1 }
        if end.isKnown { counts.known += 1 }
        if end.isRenewed { counts.renewed += 1 }
        if let event = end.event { note(event, end, &counts) }
        counts.fast0 += UInt32(end.fast & 1)
        counts.fast1 += UInt32(end.fast >> 1 & 1)
        counts.fast2 += UInt32(end.fast >> 2 & 1)
        counts.fast3 += UInt32(end.fast >> 3 & 1)
        counts.fast4 += UInt32(end.fast >> 4 & 1)
        counts.fast5 += UInt32(end.fast >> 5 & 1)
    }

    private static func note(_ event: BadEvent, _ end: End, _ counts: inout ArmCounts) {
        var one = EventCounts()
        if end.isEventKnown { one.known = 1 } else { one.first = 1 }
        if end.isEventRenewed { one.renewed = 1 }
        switch event {
        case .failure:
            counts.rejections += one
            counts.cancels += one
            counts.empties += one
        case .rejected:
            counts.rejections += one
            counts.rejected += 1
        case .cancelled:
            counts.cancels += one
            counts.cancelled += 1
            for slot in 0..<ArmCounts.fastSlots { counts.late[slot] += UInt32(end.late >> UInt8(slot) & 1) }
        case .empty:
            counts.empties += one
            counts.empty += 1
        }
    }

    private mutating func poisson(_ mean: Double) -> Int {
        var (count, sum) = (0, -log(1 - random.uniform()))
        while sum < mean {
            count += 1
            sum -= log(1 - random.uniform())
        }
        return count
    }
}
