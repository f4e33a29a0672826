"""Which names are snapshots of one run, and which may be seeds: a table."""

from __future__ import annotations

import itertools

import pytest

from mdtree.checkpoints import latest, plainest, snapshots, undecided

SNAPSHOTS = [
    # counted
    "epoch_1.pt epoch_2.pt epoch_3.pt epoch_10.pt",
    "epoch1.pt epoch2.pt",
    "Epoch-01.pth Epoch-02.pth",
    "ep3.pt ep4.pt",
    "e10.pt e20.pt",
    "10epochs.pt 20epochs.pt",
    "10_epochs.pt 20_epochs.pt",
    "lenet_10epochs.pt lenet_20epochs.pt",
    "ckpt_epoch_10.pth ckpt_epoch_20.pth",
    "resnet18-epoch60.pth resnet18-epoch90.pth",
    "vgg16_bn_cifar10_epoch_5.pt vgg16_bn_cifar10_epoch_6.pt",
    "step=1000.ckpt step=2000.ckpt",
    "step_10k.safetensors step_1M.safetensors",
    "global_step100/model.safetensors global_step200/model.safetensors",
    "step1000-tokens4B.pt step2000-tokens8B.pt",
    "iter_4000.pth iter_8000.pth",
    "it500.pt it1000.pt",
    "batch_100.pt batch_200.pt",
    "timesteps_1000.pt timesteps_2000.pt",
    "ppo_1000_steps.pt ppo_2000_steps.pt",
    "500.pt 1000.pt 1500.pt",
    "1000/model.safetensors 2000/model.safetensors",
    "model_1000.pt model_4000.pt",
    "val_loss=0.53.ckpt val_loss=0.61.ckpt",
    "acc_91.2.pt acc_92.1.pt",
    "iteration-7.pt iteration-8.pt",
    "update_100.pt update_200.pt",
    "ckpt_0.pt ckpt_1.pt",
    "network-snapshot-000100.pkl network-snapshot-000200.pkl",
    "checkpoint-30/model.safetensors checkpoint-60/model.safetensors",
    "checkpoint-500/model.safetensors.index.json checkpoint-1000/model.safetensors.index.json",
    "checkpoint-500/pytorch_model.bin checkpoint-1000/pytorch_model.bin",
    "checkpoint_1_1000.pt checkpoint_2_2000.pt",  # fairseq: epoch, update
    "epoch=3-step=400.ckpt epoch=4-step=500.ckpt",
    "epoch=3-step=400.ckpt epoch=3-step=400-v1.ckpt",
    "epoch=03-val_loss=0.42.ckpt epoch=04-val_loss=0.40.ckpt",
    "epoch_1_0.91.pt epoch_2_0.93.pt",
    "seed_0_epoch_1.pt seed_0_epoch_2.pt",
    "seed_0_epoch_1.pt seed_1_epoch_1.pt seed_1_epoch_2.pt",
    "s1e10.pt s1e20.pt",
    # the best, the last, and what lies beside them
    "best.pt last.pt",
    "best.pt last.pth.tar",
    "best_model.pth final_model.pth",
    "bestModel.pth lastModel.pth",
    "bestmodel.pth lastmodel.pth",
    "best_acc.pt best_loss.pt",
    "checkpoint_best.pt checkpoint_last.pt",
    "checkpoint.pth.tar model_best.pth.tar",
    "checkpoint-12.pth.tar last.pth.tar model_best.pth.tar",  # timm
    "epoch=9-step=100.ckpt last.ckpt",
    "last.ckpt last-v1.ckpt",
    "iter_4000.pth latest.pth",
    "model_0004999.pth model_final.pth",  # detectron2
    "model_0.pth model_1.pth checkpoint.pth",  # torchvision's scripts
    "model.safetensors checkpoint-500/model.safetensors",
    "model.pt best.pt",
    "0.pt 1.pt best.pt",
    "seed-0.pt seed-1.pt best.pt",
    "net_exp_0.pkl net_exp_0_best.pkl",
    "net_exp_0.pkl net_exp_1.pkl net_exp_1_early_stopped_model.pkl",
    "net_exp_0_best.pkl net_exp_0_early_stopped_model.pkl",
    "seed-0.pt seed-0-ema.pt",
    "seed-0.pt seed-0-init.pt",
    "resnet18_best.pt resnet18_swa.pt",
]

SEEDS = [
    "seed-0.safetensors seed-1.safetensors",
    "seed0.pt seed1.pt seed10.pt",
    "s0.pt s1.pt",
    "run_1.pt run_2.pt",
    "run-1/model.safetensors run-2/model.safetensors",
    "seed-0/model.safetensors seed-1/model.safetensors.index.json",
    "rep1.pkl rep2.pkl",
    "replica_1.pt replica_2.pt",
    "trial0.pt trial1.pt",
    "fold_1.pt fold_2.pt",
    "member-1.pt member-2.pt",
    "net_exp_0.pkl net_exp_1.pkl net_exp_2.pkl",
    "net_exp_0_best.pkl net_exp_1_best.pkl",
    "net_exp_0_early_stopped_model.pkl net_exp_1_early_stopped_model.pkl",
    "0.pt 1.pt 2.pt",
    "a.pt b.pt",
    "model_0.pth model_1.pth",
    "resnet18_0.pt resnet18_1.pt",
    "seed_0_epoch_10.pt seed_1_epoch_10.pt",
    "seed_0_epoch_7.pt seed_1_epoch_9.pt",  # stopped early
    "epoch_10_seed_0.pt epoch_10_seed_1.pt",
    "epoch_10_0.pt epoch_10_1.pt",
    "s1e10.pt s2e10.pt",
    "100epochs_seed0.pt 100epochs_seed1.pt",
    "epoch=9-val_loss=0.41.ckpt epoch=9-val_loss=0.43.ckpt",
    "best_0.pt best_1.pt",
    "best-seed-0.pt best-seed-1.pt",
    "last_a.ckpt last_b.ckpt",
    "checkpoint_seed0.pt checkpoint_seed1.pt",
    "seed0ckpt.pt seed1ckpt.pt",
    "init_0.pt init_1.pt",
    "lr_1e-3_seed_0.pt lr_1e-3_seed_1.pt",
    "lr_1e-3.pt lr_1e-4.pt",
    "model.pt model.safetensors",
    "train.pt test.pt",
    "images.pt labels.pt",
    "alone.pt",
    "10.pt 20.pt 30.pt",
    "1234.pt 4321.pt",
    "seed_100.pt seed_200.pt",
    "resnet-100.pt resnet-200.pt",
    "1000.pt",
    "epoch_10.pt",
    "best.pt",
    "\N{SNOWMAN}.pt \N{SUPERSCRIPT TWO}.pt \N{ARABIC-INDIC DIGIT TWO}.pt",
]


@pytest.mark.parametrize("names", SNAPSHOTS)
def test_names_that_differ_in_when_alone_are_snapshots_of_one_run(names):
    pair = snapshots(names.split())
    assert pair is not None
    assert set(pair) <= set(names.split())
    assert len(set(pair)) == 2


@pytest.mark.parametrize("names", SEEDS)
def test_names_that_differ_in_who_may_be_seeds(names):
    assert snapshots(names.split()) is None


@pytest.mark.parametrize("names", SNAPSHOTS + SEEDS)
def test_the_order_of_names_makes_no_difference(names):
    parts = names.split()
    answers = {snapshots(order) is None for order in itertools.permutations(parts)}
    assert len(answers) == 1


def counted(names, counter, values):
    return {name: {counter: value} for name, value in zip(names, values, strict=True)}


@pytest.mark.parametrize(
    ("names", "counter", "values"),
    [
        (["model_0.pth", "model_1.pth"], "epoch", [0, 1]),
        (["model_10.pth", "model_20.pth"], "iteration", [9_999, 19_999]),
        (["resnet-1.pt", "resnet-2.pt", "resnet-3.pt"], "global_step", [100, 100, 200]),
        (["0.pt", "1.pt", "2.pt"], "epoch", [0, 1, 2]),
        (["1.pt", "2.pt", "3.pt"], "epoch", [0, 1, 2]),
        (["50.pt", "100.pt"], "step", [50, 100]),
        (["1/model.safetensors", "2/model.safetensors"], "epoch", [1.0, 2.0]),
        (["bert-1/model.safetensors", "bert-2/model.safetensors"], "epoch", [1.0, 2.0]),
        (["model.pt", "model.safetensors"], "epoch", [1, 2]),
    ],
)
def test_counters_inside_tell_where_names_do_not(names, counter, values):
    assert snapshots(names) is None
    assert snapshots(names, counted(names, counter, values)) is not None
    same = counted(names, counter, [values[0]] * len(values))
    assert snapshots(names, same) is None


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["seed_0.pt", "seed_1.pt"], [87, 93]),
        (["run1.pt", "run2.pt"], [1, 2]),
        (["0.pt", "1.pt"], [87, 93]),
        (["0/model.safetensors", "1/pytorch_model.bin"], [87, 93]),
        (["net_exp_0_best.pkl", "net_exp_1_best.pkl"], [3, 9]),
        (["best_0.pt", "best_1.pt"], [3, 9]),
        (["a.pt", "b.pt"], [3, 9]),
    ],
)
def test_seeds_may_have_been_stopped_at_different_epochs(names, values):
    assert snapshots(names, counted(names, "epoch", values)) is None


def test_counters_of_different_kinds_are_not_compared():
    names = ["model_0.pth", "model_1.pth"]
    assert snapshots(names, {names[0]: {"epoch": 1}, names[1]: {"step": 2}}) is None
    assert snapshots(names, {names[0]: {"epoch": 1}, names[1]: {}}) is None


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ("model_1.pth model_2.pth model_10.pth", ["model_1.pth model_2.pth model_10.pth"]),
        ("2.pt 1.pt", ["1.pt 2.pt"]),
        ("weights.05.pt weights.10.pt", ["weights.05.pt weights.10.pt"]),
        ("resnet18_0.pt resnet18_1.pt", ["resnet18_0.pt resnet18_1.pt"]),
        ("a_1.pt a_2.pt b_1.pt b_2.pt", ["a_1.pt a_2.pt", "b_1.pt b_2.pt"]),
        ("m-1/model.safetensors m-2/model.safetensors",
         ["m-1/model.safetensors m-2/model.safetensors"]),
        ("seed_0.pt seed_1.pt run1.pt run2.pt fold-1.pt fold-2.pt", []),
        ("epoch_1.pt epoch_2.pt ckpt_1000.pt net_epoch12.pth step=500.ckpt", []),
        ("a.pt b.pt model.pt", []),
        ("lr_1e-3.pt lr_1e-4.pt w0.5.pt w0.7.pt", []),
        ("net_1_2.pt net_2_1.pt", []),
        ("model_1.pt", []),
    ],
)  # fmt: skip
def test_names_that_differ_in_a_whole_number_leave_it_open(names, groups):
    assert undecided(names.split()) == [group.split() for group in groups]


def test_files_that_have_counted_the_same_are_seeds():
    names = ["model_1.pt", "model_2.pt"]
    assert undecided(names, counted(names, "epoch", [90, 90])) == []
    assert undecided(names, {names[0]: {"epoch": 90}}) == [names]


@pytest.mark.parametrize(
    "names",
    [
        ["ckpt_1000.pt", "ckpt_2000.pt"],
        ["net_epoch12.pth", "net_epoch13.pth"],
        ["step=500.ckpt", "step=1000.ckpt"],
    ],
)
def test_a_word_before_the_number_says_that_it_counts(names):
    assert snapshots(names) is not None


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (["epoch_10.pt", "epoch_9.pt"], "epoch_10.pt"),
        (["epoch=9-step=4.ckpt", "epoch=9-step=30.ckpt"], "epoch=9-step=30.ckpt"),
        (["best.pt", "last.pt"], "last.pt"),
        (["checkpoint-12.pth.tar", "last.pth.tar", "model_best.pth.tar"], "last.pth.tar"),
        (["model_9.pth", "model_10.pth"], "model_10.pth"),
        (["nan.pt", "model_0.pth"], "nan.pt"),
    ],
)
def test_the_last_of_several_is_chosen_by_what_they_count(names, last):
    assert latest(names) == last


def test_of_equal_files_the_one_whose_name_says_least_of_the_time_is_kept():
    names = ["best.pt", "last.pt", "seed-0.pt", "seed-0_final.pt", "seed-1.pt"]
    assert plainest(names) == ["seed-0.pt", "seed-1.pt", "best.pt", "last.pt", "seed-0_final.pt"]


def test_a_thousand_epochs_and_names_of_any_length_are_told_at_once():
    many = [f"{'a' * 100}_{number}_epoch_1.pt" for number in range(1000)]
    assert snapshots(many) is None
    assert snapshots([*many, many[0].replace("1.pt", "2.pt")]) == (
        many[0],
        many[0].replace("1.pt", "2.pt"),
    )
    assert snapshots(["9" * 255, "epoch" + "9" * 250, "e" * 255]) is not None
