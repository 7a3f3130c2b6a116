"""Semantic communication in ONNX Runtime, over networks whose transform is known."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.power import peak_to_average_db
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.radio import semcom as module, tiles
from focalloop.host.radio.methods import Sensing, SymbolBudgetError, default_symbols, load_method
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.semcom import SemCom, uniform_rates
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.reconstruction.reconstruct import NetworkFree
from tests.support.radio_networks import RATES, write_radio_bundle

MAP = RatioMap.load("tile-2of16", shape=(64, 96))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_radio_bundle(tmp_path_factory.mktemp("bundles") / "radio-semcom", MAP)


@pytest.fixture(scope="module")
def method(bundle):
    return SemCom("semcom", RadioBundle.load(bundle), MAP, threads=1)


def reads_of(ratio_map, seed=11):
    scene = SyntheticScene(*ratio_map.shape, seed=seed)
    return next(capture_clips(scene.window(0)[np.newaxis], ratio_map, preset("paper")))


def for_map(bundle, ratio_map, **options):
    return SemCom("semcom", RadioBundle.load(bundle), ratio_map, threads=1, **options)


def error(method, reads, snr_db, symbols=None, kind="awgn", seed=0):
    delivery = method.send(reads, Channel(kind, snr_db), np.random.default_rng(seed), symbols)
    assert not delivery.lost
    return float(np.mean(np.square(delivery.reads - reads)))


def test_more_symbols_and_a_better_channel_give_better_measurements(method):
    reads = reads_of(MAP)
    by_symbols = [error(method, reads, 20, symbols) for symbols in (500, 800, 1400, 2200)]
    assert by_symbols == sorted(by_symbols, reverse=True)
    by_snr = [error(method, reads, snr, 1500) for snr in (2, 6, 10, 15, 20)]
    assert by_snr == sorted(by_snr, reverse=True)
    assert by_snr[-1] < 0.1 * np.var(reads)


@pytest.mark.parametrize("kind", ["rayleigh", "rayleigh-block"])
def test_fading_that_the_receiver_knows_is_undone(method, kind):
    reads = reads_of(MAP)
    assert error(method, reads, 35, 1500, kind) < 0.1 * np.var(reads)


def test_fades_of_symbols_cost_less_where_values_are_mixed(bundle, method):
    plain = for_map(bundle, MAP, mixed=False)
    errors = [
        np.mean([error(each, reads_of(MAP), 10, 1500, "rayleigh", seed) for seed in range(4)])
        for each in (method, plain)
    ]
    assert errors[0] < 0.95 * errors[1]


def test_symbols_keep_to_a_limit_of_their_peaks_and_any_receiver_has_them(bundle, method):
    reads, channel = reads_of(MAP), Channel("awgn", 15)
    limited = for_map(bundle, MAP, max_papr_db=5.0).transmit(reads, channel, 1500)
    assert peak_to_average_db(limited.symbols) < 5.1
    assert peak_to_average_db(method.transmit(reads, channel, 1500).symbols) > 7
    found = method.receive(channel.send(limited.symbols, np.random.default_rng(0)), channel)
    worse = float(np.mean(np.square(method.decode(found) - reads)))
    assert worse < 1.2 * error(method, reads, 15, 1500)


@pytest.mark.parametrize("symbols", [420, 600, 999, 1500, 2300])
@pytest.mark.parametrize("allocate", [rates_for_budget, uniform_rates])
def test_a_budget_is_met_within_two_percent_and_never_exceeded(bundle, symbols, allocate):
    sent = for_map(bundle, MAP, allocate=allocate).transmit(
        reads_of(MAP), Channel("awgn", 15), symbols
    )
    assert 0.98 * symbols <= sent.count.total <= symbols
    assert len(sent.symbols) == sent.count.total
    assert np.mean(np.abs(sent.symbols) ** 2) == pytest.approx(1, abs=2e-3)


def test_without_a_budget_it_is_a_fifth_of_a_symbol_per_pixel(method):
    sent = method.transmit(reads_of(MAP), Channel("awgn", 15))
    wanted = default_symbols(*MAP.shape)
    assert 0.98 * wanted <= sent.count.total <= wanted


@pytest.mark.parametrize("symbols", [1, 100, 3000, 10**9])
def test_a_budget_out_of_reach_names_the_range_which_can_be_sent(method, symbols):
    reads, channel = reads_of(MAP), Channel("awgn", 15)
    with pytest.raises(SymbolBudgetError) as caught:
        method.transmit(reads, channel, symbols)
    for bound in (caught.value.least, caught.value.most):
        assert f"{bound:,}" in str(caught.value)
        sent = method.transmit(reads, channel, bound).count.total
        assert 0.98 * bound <= sent <= bound


def test_locations_get_different_rates_only_where_they_are_allocated(bundle, method):
    reads, channel = reads_of(MAP), Channel("awgn", 15)
    allocated = method.transmit(reads, channel, 1200)
    uniform = for_map(bundle, MAP, allocate=uniform_rates).transmit(reads, channel, 1200)
    assert np.ptp(allocated.rate_map) > 1
    assert np.ptp(uniform.rate_map) <= 1
    assert uniform.count.rate_map <= allocated.count.rate_map


def test_uniform_rates_spend_what_there_is_on_rows():
    for reals in (24 * 8, 1000, 24 * 48, 3333, 24 * 192):
        chosen = uniform_rates(np.zeros((8, 4, 6), np.float32), RATES, reals)
        spent = np.asarray(RATES)[chosen].sum()
        assert reals - 48 < spent <= reals
        assert sum(len(set(row)) > 1 for row in chosen.tolist()) <= 1


@pytest.mark.parametrize("shape", [(61, 93), (16, 17), (8, 9), (30, 200)])
def test_any_size_is_sent_with_the_tile_in_phase(bundle, shape):
    ratio_map = MAP.tiled_to(*shape)
    reads = reads_of(ratio_map)
    delivery = for_map(bundle, ratio_map).send(reads, Channel("awgn", 30), np.random.default_rng(0))
    assert delivery.reads.shape == reads.shape
    assert np.mean(np.square(delivery.reads - reads)) < 0.3 * np.var(reads)
    unmeasured = np.arange(8)[:, None, None] >= ratio_map.levels
    assert np.abs(delivery.reads[unmeasured]).max() < 1e-4


def test_tiles_give_what_the_whole_array_gives(bundle, monkeypatch):
    ratio_map = MAP.tiled_to(160, 240)
    reads, channel = reads_of(ratio_map), Channel("awgn", 10)
    method = for_map(bundle, ratio_map)

    def sent():
        delivery = method.send(reads, channel, np.random.default_rng(3))
        return delivery.reads, delivery.rate_map

    whole, rate_map = sent()
    monkeypatch.setattr(module, "tiles_of", lambda h, w: tiles.tiles_of(h, w, largest=6, margin=1))
    tiled, tiled_map = sent()
    assert np.array_equal(rate_map, tiled_map)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_the_same_seed_gives_the_same_window(method):
    reads = reads_of(MAP)
    assert error(method, reads, 10, seed=4) == error(method, reads, 10, seed=4)
    assert error(method, reads, 10, seed=4) != error(method, reads, 10, seed=5)


def test_a_window_of_noise_is_lost(method):
    channel = Channel("awgn", 10)
    sent = method.transmit(reads_of(MAP), channel)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((len(sent.symbols), 2), np.float32).view(np.complex64)[:, 0]
    ones = np.ones(len(noise), np.complex64)
    assert method.receive(Received(noise, ones, 1.0), channel) is None


def test_a_window_of_other_networks_or_another_map_is_refused(bundle, method, tmp_path):
    channel = Channel("awgn", 20)
    sent = method.transmit(reads_of(MAP), channel)
    clean = Received(sent.symbols, np.ones(len(sent.symbols), np.complex64), 0.01)
    with pytest.raises(RadioError, match="map"):
        for_map(bundle, MAP.tiled_to(64, 112)).receive(clean, channel)
    other = RatioMap.from_tile([[1, 2], [4, 1]], (64, 96))
    with pytest.raises(RadioError, match="map"):
        for_map(bundle, other)
    with pytest.raises(RadioError, match="networks"):
        for_map(write_radio_bundle(tmp_path / "other", other), other).receive(clean, channel)


@pytest.mark.parametrize("changes", [{"rates": list(RATES[:-1])}, {"rates": [8]}, {"location": 32}])
def test_networks_that_give_other_shapes_than_their_bundle_says_are_refused(tmp_path, changes):
    method = for_map(write_radio_bundle(tmp_path / "other", MAP, **changes), MAP)
    with pytest.raises(RadioError, match="export it anew"):
        method.transmit(reads_of(MAP), Channel("awgn", 15))


def test_methods_by_name_use_the_bundle_that_is_given(bundle):
    sensing = Sensing(MAP, NetworkFree())
    assert load_method("semcom", sensing, bundle).name == "semcom"
    assert load_method("semcom-noran", sensing, bundle).name == "semcom-noran"
    with pytest.raises(RadioError, match="jscc"):
        load_method("jscc", sensing, bundle)
    with pytest.raises(RadioError, match="no radio bundle 'nowhere'"):
        load_method("semcom", sensing, "nowhere")
