// A registry carried over to a config that lists a model's versions in another order: what is known of a
// version follows its name, and what is known of a version that the config no longer has is dropped.
// Invariant: slots keep their ticks; a new version has started nothing in them.

import Rollout

extension ValueRegistry {
    /// The registry with the versions at other places.
    /// - Parameter index: the new place of the version at an old one; nil: it is gone.
    func mapped(versions: Int, _ index: (Int) -> Int?) -> ValueRegistry {
        let places = (0..<self.versions).map(index)
        guard versions != self.versions || places != Array(0..<versions) else { return self }
        return remade(Places(new: places, count: versions))
    }
}

/// Where versions go.
struct Places {
    /// By old place.
    let new: [Int?]
    /// New places.
    let count: Int

    /// The values at their new places.
    func moved<Value>(_ values: [Value], missing: Value) -> [Value] {
        var moved = Array(repeating: missing, count: count)
        for (old, value) in values.enumerated() {
            if let place = new[old] { moved[place] = value }
        }
        return moved
    }
}
