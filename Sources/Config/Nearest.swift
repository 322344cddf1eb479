// The word that was probably meant. Optimal string alignment distance (Damerau-Levenshtein with adjacent
// transpositions; Boytsov, "Indexing methods for approximate dictionary searching", 2011), with a bound that
// grows with the word, and a table of the names that other proxies use for the same things.

/// Finds the word that was meant.
package enum Nearest {
    /// What users of other systems and of earlier releases may write, and Weir's word for it.
    private static let otherWords = [
        "canary": "candidate", "experiment": "candidate", "canaries": "candidates", "primary": "stable",
        "baseline": "stable", "control": "stable", "mirror": "shadow", "mirrors": "shadow",
        "mirroring": "shadow", "backends": "endpoints", "servers": "endpoints", "clusters": "endpoints",
        "upstreams": "endpoints", "targets": "endpoints", "addresses": "endpoints", "url": "endpoints",
        "routes": "models", "services": "models", "route": "match", "routing": "match",
        "hash_policy": "sticky", "session_affinity": "sticky", "affinity": "sticky",
        "outlier_detection": "outlier_ejection", "consecutive_5xx": "consecutive_failures",
        "base_ejection_time": "time", "max_ejection_time": "max_time", "num_retries": "attempts",
        "retry_budget": "budget", "percentage": "percent", "weight": "percent", "address": "listen",
        "bind": "listen", "port": "listen", "threshold": "above", "analysis": "guardrails",
        "rules": "guardrails", "healthcheck": "health_check", "max_requests": "max_in_flight",
        "max_concurrency": "max_in_flight", "traffic": "weights", "split": "weights", "type": "kind",
        "metric": "kind", "trusted": "trusted_proxies", "data_dir": "state_dir", "workers": "cores",
        "threads": "cores", "concurrency": "cores", "max_body_size": "max_body",
        "outcome": "feedback", "outcomes": "feedback", "ip": "client_address",
        "client_ip": "client_address", "source_ip": "client_address",
    ]

    /// The known word nearest to `word`, if one is near enough to be what was meant.
    package static func to(_ word: String, among known: [String]) -> String? {
        let spelled = word.lowercased()
        if let other = otherWords[spelled], known.contains(other) { return other }
        let bound = max(1, min(3, spelled.count / 3))
        var best: (word: String, distance: Int)?
        for candidate in known {
            let distance = distance(spelled, candidate.lowercased())
            if distance <= bound, distance < (best?.distance ?? .max) { best = (candidate, distance) }
        }
        if let best { return best.word }
        // A word cut short, or one with something added.
        return known.first {
            $0.hasPrefix(spelled) && spelled.count > 2 || spelled.hasPrefix($0) && $0.count > 2
        }
    }

    /// Insertions, deletions, substitutions and swaps of neighbours between two words.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.unicodeScalars)
        let b = Array(b.unicodeScalars)
        if a.count > 256 || b.count > 256 { return max(a.count, b.count) }
        var before = [Int]()
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var cost = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
                row.append(cost)
            }
            before = last
            last = row
        }
        return last[b.count]
    }
}
