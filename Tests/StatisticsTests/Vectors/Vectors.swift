// Reference values as rows of numbers by key, and the comparison that they are held to.
// "= name" opens a case, "key a b c" is a row of it, "+ d e" goes on with the row before.

import Testing

/// The reference values, by family; the tables are extensions of this.
enum Vectors {
    static func parse(_ text: String) -> [VectorCase] {
        var cases: [VectorCase] = []
        var key = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("= ") || line == "=" {
                cases.append(VectorCase(name: String(line.dropFirst(2))))
                continue
            }
            let words = line.split(separator: " ").map(String.init)
            let last = cases.count - 1
            if words[0] == "+" {
                let row = cases[last].rows[key, default: []].count - 1
                cases[last].rows[key, default: []][row] += words.dropFirst()
            } else {
                key = words[0]
                cases[last].rows[key, default: []].append(Array(words.dropFirst()))
            }
        }
        return cases
    }
}

/// One case of a family.
struct VectorCase: Sendable, CustomTestStringConvertible {
    let name: String
    var rows: [String: [[String]]] = [:]

    init(name: String) { self.name = name }

    var testDescription: String { name }

    func has(_ key: String) -> Bool { rows[key] != nil }
    /// The first word of a row that must exist.
    func word(_ key: String) -> String { rows[key]?[0][0] ?? "no row \(key)" }
    func number(_ key: String) -> Double { Double(word(key)) ?? .nan }
    func int(_ key: String) -> Int { Int(number(key)) }
    func flag(_ key: String) -> Bool { number(key) == 1 }
    /// All rows of a key, in order.
    func table(_ key: String) -> [[Double]] {
        (rows[key] ?? []).map { $0.map { Double($0) ?? .nan } }
    }
    /// The only row of a key.
    func numbers(_ key: String) -> [Double] { table(key).first ?? [] }
    func ints(_ key: String) -> [Int] { numbers(key).map { Int($0) } }
    /// Rows of two, as a map from the first to the second.
    func marks(_ key: String) -> [Int: Double] {
        Dictionary(uniqueKeysWithValues: table(key).map { (Int($0[0]), $0[1]) })
    }
}

/// Whether `a` is the reference `b`: within 1e-9, relative above 1.
func agrees(_ a: Double, _ b: Double) -> Bool {
    abs(a - b) <= 1e-9 * max(1, abs(b))
}

func agree(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy(agrees)
}

/// The generator that drives the long sequences.
struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In 0..<1.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
