// Reference values of PSI, Kolmogorov-Smirnov and chi-square.
// Rows are numbers by key; a row that begins with + goes on. Source: guardrails/vectors, computed there by an
// oracle that was checked against 60-digit arithmetic.

extension Vectors {
    /// Both histograms and their distances.
    static let distances = parse(
        """
        = same
        candidate 10 20 30 40
        stable 100 200 300 400
        psi 9.265557937692691e-05
        psiBias 0.033
        psiDebiased 0.0
        ksDistance 0.0
        ksRadiusAlpha01 0.38679792468913776
        = moved
        candidate 40 30 20 10
        stable 100 200 300 400
        psi 0.8902172901129933
        psiBias 0.033
        psiDebiased 0.8572172901129933
        ksDistance 0.39999999999999997
        ksRadiusAlpha01 0.38679792468913776
        = zero bins
        candidate 0 0 10 0
        stable 100 200 300 400
        psi 1.7254280223616485
        psiBias 0.30300000000000005
        psiDebiased 1.4224280223616486
        ksDistance 0.4
        ksRadiusAlpha01 0.9991638789167833
        = tiny
        candidate 1 0 0
        stable 1 1 1
        psi 0.2929632769781625
        psiBias 2.6666666666666665
        psiDebiased 0.0
        ksDistance 0.6666666666666667
        ksRadiusAlpha01 4.326926069551689
        = large
        candidate 100000 101000 99000 98000 102000
        stable 500000 500000 500000 500000 500000
        psi 0.00020002067142965273
        psiBias 9.6e-06
        psiDebiased 0.00019042067142965274
        ksDistance 0.0040000000000000036
        ksRadiusAlpha01 0.006230807680539358
        = all equal
        candidate 5 5
        stable 5 5
        psi 0.0
        psiBias 0.2
        psiDebiased 0.0
        ksDistance 0.0
        ksRadiusAlpha01 1.8104436640773678
        = disjoint
        candidate 50 0
        stable 0 50
        psi 9.049255915375019
        psiBias 0.04
        psiDebiased 9.00925591537502
        ksDistance 1.0
        ksRadiusAlpha01 0.8237030511350395
        """)

    /// Tails.
    static let chiSquareTails = parse(
        """
        = 0
        x 0.1
        k 1
        sf 0.7518296340458493
        = 1
        x 3.84
        k 1
        sf 0.050043521248705085
        = 2
        x 9.0
        k 9
        sf 0.43727418891386716
        = 3
        x 21.67
        k 9
        sf 0.00998578929957832
        = 4
        x 60.0
        k 9
        sf 1.3406780483959628e-09
        = 5
        x 5.0
        k 19
        sf 0.9994309626474822
        = 6
        x 150.0
        k 99
        sf 0.0007204453957169494
        = 7
        x 1000.0
        k 9
        sf 1.7240681189224405e-209
        """)

    /// Upper quantiles.
    static let chiSquareQuantiles = parse(
        """
        = 0
        alpha 0.05
        k 1
        x 3.841458820694129
        = 1
        alpha 0.01
        k 9
        x 21.665994333461924
        = 2
        alpha 0.001
        k 9
        x 27.877164871256575
        = 3
        alpha 1e-06
        k 9
        x 44.81093787068782
        = 4
        alpha 0.01
        k 19
        x 36.190869129270055
        = 5
        alpha 0.5
        k 9
        x 8.342832692252959
        = 6
        alpha 0.01
        k 99
        x 134.64161685578898
        """)

    /// Thresholds for one look; m may be infinite.
    static let psiThresholds = parse(
        """
        = 0
        B 10
        n 50
        m 950
        alpha 0.01
        threshold 0.4561261964939352
        = 1
        B 10
        n 500
        m 9500
        alpha 0.01
        threshold 0.045612619649393525
        = 2
        B 10
        n 10000
        m inf
        alpha 0.01
        threshold 0.0021665994333461927
        = 3
        B 20
        n 1000
        m 1000
        alpha 0.001
        threshold 0.08764039192903506
        """)

    /// Radii at one alpha.
    static let ksRadii = parse(
        """
        = 0
        t 1
        alpha 0.05
        radius 2.4495298993167416
        = 1
        t 1
        alpha 0.005
        radius 2.7075987352998308
        = 2
        t 10
        alpha 0.05
        radius 0.8284546739710118
        = 3
        t 10
        alpha 0.005
        radius 0.9052218320386839
        = 4
        t 100
        alpha 0.05
        radius 0.26917582233731213
        = 5
        t 100
        alpha 0.005
        radius 0.29285587781103833
        = 6
        t 10000
        alpha 0.05
        radius 0.027710745077605986
        = 7
        t 10000
        alpha 0.005
        radius 0.030016242455229474
        = 8
        t 1000000
        alpha 0.05
        radius 0.0028191881201812493
        = 9
        t 1000000
        alpha 0.005
        radius 0.0030460984620858276
        """)
}
