// A pinned histogram read from the file that a config names: edges and counts as `numpy.histogram` gives
// them (outer edges included or not), or plain values.
// Invariant: what is returned can be watched.

import Payload
import Rollout

/// Why a reference file cannot be used.
package struct ReferenceProblem: Error, Hashable {
    package var what: String
}

extension DriftReference {
    /// Larger files are refused; a million values have about 20 MB.
    package static let fileBytesMax = 32 << 20

    /// Takes the file's content from whoever reads files.
    package static func load(_ path: String, _ read: FileRead) -> Result<DriftReference, ReferenceProblem> {
        switch read(path, fileBytesMax) {
        case .success(let bytes): parse(bytes)
        case .failure(let problem): .failure(ReferenceProblem(what: "cannot be read: \(problem.reason)"))
        }
    }

    /// Reads a reference from the bytes of its file.
    package static func parse(_ bytes: [UInt8]) -> Result<DriftReference, ReferenceProblem> {
        guard let json = try? JSON(parsing: bytes[...]) else {
            return .failure(ReferenceProblem(what: "is not JSON"))
        }
        var reference: DriftReference
        if let values = json["values"].flatMap(numbers) {
            reference = DriftReference(values: values)
        } else if let edges = json["bins"].flatMap(numbers), let counts = json["counts"].flatMap(numbers) {
            guard counts.allSatisfy({ $0 >= 0 && $0 < 1e12 && $0 == $0.rounded() }) else {
                return .failure(ReferenceProblem(what: "has counts that are no whole numbers"))
            }
            let hasOuterEdges = edges.count == counts.count + 1
            reference = DriftReference(
                edges: hasOuterEdges ? Array(edges.dropFirst().dropLast()) : edges,
                counts: counts.map { Int($0) })
        } else {
            return .failure(
                ReferenceProblem(what: "has neither values nor bins and counts, as lists of numbers"))
        }
        let probe = GuardrailSpec(
            name: "reference", measure: .drift(value: "x"), rule: .sequentialDriftFrom(reference, psi: 0.2))
        if let problem = probe.problem { return .failure(ReferenceProblem(what: problem)) }
        return .success(reference)
    }

    private static func numbers(_ json: JSON) -> [Double]? {
        guard case .array(let items) = json else { return nil }
        let numbers = items.compactMap(\.number)
        return numbers.count == items.count && numbers.allSatisfy(\.isFinite) ? numbers : nil
    }
}
