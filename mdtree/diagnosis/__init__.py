"""Diagnosis: rows become verdicts, with reasons, confidence and the next step."""

from typing import TYPE_CHECKING

from mdtree.late import late

if TYPE_CHECKING:
    from mdtree.diagnosis.advised_change import (
        AdvisedChange,
        NothingAdvisedError,
        advised_changes,
        advised_remedy,
    )
    from mdtree.diagnosis.checking import CheckedGroup, checked_groups, found_checks, ignore_checks
    from mdtree.diagnosis.checks import CHECKS, MODE_CODES, Check, CheckResult
    from mdtree.diagnosis.comparison import Compared, Comparison, compare_groups, compare_pair
    from mdtree.diagnosis.comparison_headlines import (
        comparison_headline,
        comparison_outcome,
        headline_of_comparisons,
    )
    from mdtree.diagnosis.diagnoser import Diagnoser, with_facts
    from mdtree.diagnosis.differences import LEVEL, PRIMARY, Difference, NotCompared
    from mdtree.diagnosis.ensemble import TreeEnsemble
    from mdtree.diagnosis.fact_changes import FactChange
    from mdtree.diagnosis.headlines import headline, headline_of_all
    from mdtree.diagnosis.pairing import pairs_of, places_of
    from mdtree.diagnosis.precision import RowPrecision, VerdictPrecision, agreement, open_metric
    from mdtree.diagnosis.promise import Promise, RealGain
    from mdtree.diagnosis.selection import (
        ChosenTree,
        can_be_diagnosed,
        choose_tree,
        diagnoser_for,
        tree_for,
    )
    from mdtree.diagnosis.serialization import (
        comparison_schema,
        comparisons_to_plain_data,
        output_schema,
        schema,
        to_plain_data,
        trajectories_to_plain_data,
    )
    from mdtree.diagnosis.stopping import Prospect, next_metric, prospects
    from mdtree.diagnosis.trajectory import Trajectory, trajectories
    from mdtree.diagnosis.verdict_record import (
        UNSURE,
        Basis,
        DecisionStep,
        Gain,
        MissingMeasurement,
        NextStep,
        OutOfDistribution,
        Target,
        Verdict,
        check_confidence,
    )
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "advised_change": "AdvisedChange NothingAdvisedError advised_changes advised_remedy",
            "checking": "CheckedGroup checked_groups found_checks ignore_checks",
            "checks": "CHECKS MODE_CODES Check CheckResult",
            "comparison": "Compared Comparison compare_groups compare_pair",
            "comparison_headlines": (
                "comparison_headline comparison_outcome headline_of_comparisons"
            ),
            "diagnoser": "Diagnoser with_facts",
            "differences": "LEVEL PRIMARY Difference NotCompared",
            "ensemble": "TreeEnsemble",
            "fact_changes": "FactChange",
            "headlines": "headline headline_of_all",
            "pairing": "pairs_of places_of",
            "precision": "RowPrecision VerdictPrecision agreement open_metric",
            "promise": "Promise RealGain",
            "selection": "ChosenTree can_be_diagnosed choose_tree diagnoser_for tree_for",
            "serialization": (
                "comparison_schema comparisons_to_plain_data output_schema schema "
                "to_plain_data trajectories_to_plain_data"
            ),
            "stopping": "Prospect next_metric prospects",
            "trajectory": "Trajectory trajectories",
            "verdict_record": (
                "UNSURE Basis DecisionStep Gain MissingMeasurement NextStep OutOfDistribution "
                "Target Verdict check_confidence"
            ),
        },
    )

__all__ = [
    "CHECKS",
    "LEVEL",
    "MODE_CODES",
    "PRIMARY",
    "UNSURE",
    "AdvisedChange",
    "Basis",
    "Check",
    "CheckResult",
    "CheckedGroup",
    "ChosenTree",
    "Compared",
    "Comparison",
    "DecisionStep",
    "Diagnoser",
    "Difference",
    "FactChange",
    "Gain",
    "MissingMeasurement",
    "NextStep",
    "NotCompared",
    "NothingAdvisedError",
    "OutOfDistribution",
    "Promise",
    "Prospect",
    "RealGain",
    "RowPrecision",
    "Target",
    "Trajectory",
    "TreeEnsemble",
    "Verdict",
    "VerdictPrecision",
    "advised_changes",
    "advised_remedy",
    "agreement",
    "can_be_diagnosed",
    "check_confidence",
    "checked_groups",
    "choose_tree",
    "compare_groups",
    "compare_pair",
    "comparison_headline",
    "comparison_outcome",
    "comparison_schema",
    "comparisons_to_plain_data",
    "diagnoser_for",
    "found_checks",
    "headline",
    "headline_of_all",
    "headline_of_comparisons",
    "ignore_checks",
    "next_metric",
    "open_metric",
    "output_schema",
    "pairs_of",
    "places_of",
    "prospects",
    "schema",
    "to_plain_data",
    "trajectories",
    "trajectories_to_plain_data",
    "tree_for",
    "with_facts",
]
