"""Videos of the best episodes, and how TensorBoard and the console hear of them."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import imageio.v2 as imageio
import numpy as np
import torch

from mario_agents.acting.plugin_policy import policy_of
from mario_agents.commands.train import _logging
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Spaces
from mario_agents.core.policy import Policy
from mario_agents.evaluation.evaluate import evaluate
from mario_agents.evaluation.results import EvalProtocol, Evaluation
from mario_agents.playback import camera as camera_module
from mario_agents.playback.video_recorder import VideoRecorder, record_episode
from mario_agents.run import RunDir
from mario_agents.run.log_levels import NOTICE
from mario_agents.run.records import read_evaluations, read_videos
from mario_agents.runtime.evaluator import Evaluator
from mario_agents.telemetry import RunMetrics
from mario_agents.telemetry.sinks.run_tensorboard import TensorBoardRun
from mario_agents.testing.corridor import DIE
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import BackendUnavailable
from tests.agents.walking import GAME, Walk


def measured(policy: Walk) -> Evaluation:
    return evaluate(policy, GAME, EvalProtocol(episodes=2))


def score_of(evaluation: Evaluation) -> tuple[float, float]:
    return evaluation.success_rate.mean, evaluation.mean_x.mean


def test_new_bests_and_the_first_flag_are_recorded_and_nothing_else(tmp_path, caplog) -> None:
    recorder = VideoRecorder(tmp_path / "videos", GAME)
    best = None
    recorded = []
    with caplog.at_level(NOTICE):
        for step, start in ((10, 10), (20, 11), (30, 0), (40, 0), (50, 1)):
            evaluation = measured(Walk(start))
            score = score_of(evaluation)
            recorded.append(recorder.offer([evaluation], score, best, Walk(start), step))
            best = score if best is None else max(best, score)
    assert [path is not None for path in recorded] == [True, False, True, False, False]
    videos, damaged = read_videos(tmp_path / "videos")
    assert not damaged
    assert [record.occasions for _, record in videos] == [("new best",), ("first flag", "new best")]
    assert [record.episode.success for _, record in videos] == [False, True]
    assert [point[0] for point in videos[1][1].path[0].points] == [0, 10, 20, 30, 40, 50]
    assert [record.levelno for record in caplog.records] == [NOTICE] * 2
    assert "First flag and new best at step 30" in caplog.text


class Drunk(Walk):
    """Dies at once, the second time that it plays."""

    def reset(self, num_envs: int) -> None:
        super().reset(num_envs)
        self.games = getattr(self, "games", 0) + 1

    def act(self, observations: Any, *, greedy: bool) -> Any:
        actions = super().act(observations, greedy=greedy)
        return actions if self.games == 1 else np.full_like(actions, DIE)


def test_a_video_tells_what_it_shows_and_not_what_was_measured(tmp_path) -> None:
    policy = Drunk()
    evaluation = measured(policy)
    assert evaluation.success_rate.mean == 1
    VideoRecorder(tmp_path, GAME).offer([evaluation], (1.0,), None, policy, 10)
    ((_, record),) = read_videos(tmp_path)[0]
    assert record.occasions == ("new best",)
    assert record.episode.ending == "pit"


def test_a_resumed_run_has_seen_its_first_flag(tmp_path) -> None:
    evaluation = measured(Walk())
    for step, best, occasions in ((10, None, ("first flag", "new best")), (20, (0.5, 0.0), None)):
        recorder = VideoRecorder(tmp_path, GAME)
        video = recorder.offer([evaluation], (1.0, 1.0), best, Walk(), step)
        record = dict(read_videos(tmp_path)[0])[video]
        assert record.occasions == (occasions or ("new best",))
    assert VideoRecorder(tmp_path, GAME).offer([evaluation], (1.0,), (1.0,), Walk(), 30) is None


def test_a_video_that_cannot_be_made_is_a_warning(tmp_path, caplog, monkeypatch) -> None:
    def no_ffmpeg(*args: Any, **options: Any) -> Any:
        raise BackendUnavailable("There is no ffmpeg.")

    monkeypatch.setattr(camera_module, "mp4_writer", no_ffmpeg)
    recorder = VideoRecorder(tmp_path, GAME)
    assert recorder.offer([measured(Walk())], (1.0,), None, Walk(), 10) is None
    assert "There is no video of step 10: There is no ffmpeg." in caplog.text
    (tmp_path / "file").write_text("")
    recorder = VideoRecorder(tmp_path / "file", GAME)
    assert recorder.offer([measured(Walk())], (1.0,), None, Walk(), 10) is None
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_video_has_every_second_frame_and_a_preview(tmp_path) -> None:
    episode, segments = record_episode(Walk(), GAME, tmp_path / "a.mp4", greedy=True, seed=0)
    assert episode.success
    assert len(segments[0].points) == 6
    reader = imageio.get_reader(tmp_path / "a.mp4")
    assert reader.get_meta_data()["fps"] == 30
    assert len([*reader.iter_data()]) == 3  # of 6
    assert len(imageio.mimread(tmp_path / "a.gif")) == 1


class RunRight:
    """Right with B, and a jump now and then: a fixed pattern, so that games can be told apart."""

    def reset(self, num_envs: int) -> None:
        self.steps = 0

    def act(self, observations: Any, *, greedy: bool) -> Any:
        self.steps += 1
        return np.full(len(observations), 4 if self.steps % 12 < 6 else 3)


def test_the_video_shows_the_game_that_was_evaluated(tmp_path) -> None:
    kwargs = {"level": "1-1", "actions": "simple", "reward": "progress"}
    protocol = EvalProtocol(episodes=4, seed=7)
    played = evaluate(RunRight(), kwargs, protocol).episodes
    number = max(range(4), key=lambda i: played[i].best_x)
    overrides = protocol.env_overrides()
    episode, segments = record_episode(
        RunRight(), {**kwargs, **overrides}, tmp_path / "a.mp4", greedy=True, seed=7 + number
    )
    assert episode == played[number]
    points = [point for segment in segments for point in segment.points]
    assert len(points) == episode.steps + 1
    assert max(x for x, _ in points) == episode.best_x


# -- in a run ---------------------------------------------------------------------------------


class WalkModel(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start = torch.nn.Parameter(torch.zeros(1))


@dataclasses.dataclass
class WalkLearner:
    model: WalkModel


class WalkAlgorithm:
    """Of an algorithm only what an evaluator asks for."""

    config_class = None

    def env_kwargs(self, config: Any) -> dict[str, Any]:
        return GAME

    def learner(self, config: Any, spaces: Any) -> WalkLearner:
        return WalkLearner(WalkModel())

    def player(self, learner: WalkLearner) -> WalkModel:
        return learner.model

    def policy(self, config: Any, learner: WalkLearner, context: Any) -> Policy:
        return policy_of(Walk(int(learner.model.start.item())))


def test_an_evaluator_records_keeps_and_tensorboard_shows(tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = RunDir.create(tmp_path / "run", trainer="ppo", config=TrainConfig())
    config = TrainConfig(eval_episodes=2)
    evaluator = Evaluator(WalkAlgorithm(), config, run, Spaces((4, 36, 36), 3), torch.device("cpu"))
    board = TensorBoardRun(run, RunMetrics())
    for step, start in ((100, 12), (200, 0), (300, 0)):
        learner = WalkLearner(WalkModel())
        with torch.no_grad():
            learner.model.start.fill_(start)
        evaluator.start(learner.model.state_dict(), step)
        assert evaluator.result(wait=True) is not None
        board.write(step, {"run/loss": 1.0})
    records, damaged = read_evaluations(run.evaluations_path)
    assert not damaged
    assert [(r.step, [p.success for p in r.plain]) for r in records] == [
        (100, [False, False]),
        (200, [True, True]),
        (300, [True, True]),
    ]
    assert [record.step for _, record in read_videos(run.videos_path)[0]] == [100, 200]
    deaths = DeathHotspotAggregate()
    deaths.record_deaths_batch("1-1", [510, 520, 1700])
    deaths.save(run.hotspots_path)
    board.close()
    board.close()
    resumed = TensorBoardRun(run, RunMetrics(), resume_step=300)
    resumed.write(310, {})
    resumed.close()
    everything = {"images": 0, "histograms": 0}
    events = EventAccumulator(str(run.tensorboard_path), size_guidance=everything)
    events.Reload()
    videos = events.Images("video")
    assert [video.step for video in videos] == [100, 200]
    assert videos[0].encoded_image_string.startswith(b"GIF8")
    assert (videos[0].width, videos[0].height) == (18, 18)
    histogram = events.Histograms("deaths/1-1")[0]
    value = histogram.histogram_value
    counts = dict(zip(value.bucket_limit, value.bucket, strict=True))
    assert {limit: n for limit, n in counts.items() if n} == {525.0: 2.0, 1725.0: 1.0}
    assert (histogram.step, value.num, value.min, value.max) == (300, 3, 500, 1725)


def test_good_news_and_warnings_reach_the_console(tmp_path, capsys) -> None:
    with _logging(tmp_path / "training.log") as log:
        child = logging.getLogger("mario_agents.playback.video_recorder")
        child.log(NOTICE, "New best")
        child.warning("No video")
        child.info("Evaluation")
        log.error("told elsewhere")
    assert capsys.readouterr().err == "NOTICE: New best\nWARNING: No video\n"
    assert "INFO Evaluation" in (tmp_path / "training.log").read_text()
