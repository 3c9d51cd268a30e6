"""The scorer once more in float64 NumPy, written from the formulas: real rows are picked out, nothing is masked.

`p` is a state dict as arrays; a prefix chooses the module inside it. Everything is for one text and one clip.
"""

import math

import numpy as np


def linear(p, name, x):
    bias = p.get(f"{name}.bias", 0.0)
    return x @ p[f"{name}.weight"].T + bias


def relu(x):
    return np.maximum(x, 0.0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def log_softmax_at(row, i):
    return row[i] - row.max() - math.log(np.exp(row - row.max()).sum())


def unit(x):
    n = np.sqrt((x * x).sum(-1, keepdims=True))
    return np.divide(x, n, out=np.zeros_like(x), where=n > 0)


def head(p, name, rows, offset=0.0):
    return softmax(linear(p, f"{name}.out", relu(linear(p, f"{name}.hidden", rows)))[:, 0] + offset)


def words(mask, pooled, start_token):
    """Positions that may be matched."""
    keep = [i for i in range(len(mask)) if mask[i] and not (start_token and i == 0)]
    return sorted({*keep, int(pooled)})


def wti(p, name, tokens, mask, pooled, frames, frame_mask, rho, start_token=True):
    at = words(mask, pooled, start_token)
    t, v = tokens[at], frames[frame_mask]
    offset = np.array([math.log(9 * (len(at) - 1)) if i == pooled and len(at) > 1 else 0.0 for i in at])
    tw, vw = head(p, f"{name}.token_head", t, offset), head(p, f"{name}.frame_head", v)
    cos = unit(t) @ unit(v).T
    t2v = sum(w * max(row) for w, row in zip(tw, cos, strict=True))
    v2t = sum(w * max(column) for w, column in zip(vw, cos.T, strict=True))
    return rho * t2v + (1 - rho) * v2t


def mfb(p, name, a, b, factor, relu_on=False):
    left, right = linear(p, f"{name}.left", a), linear(p, f"{name}.right", b)
    if relu_on:
        left, right = relu(left), relu(right)
    product = left * right
    pooled = np.array([[sum(r[i : i + factor]) for i in range(0, len(r), factor)] for r in product])
    return unit(np.sign(pooled) * np.sqrt(np.abs(pooled) + 1e-6))


def gate(p, name, fused, squeeze):
    if squeeze == "mean":
        fused = fused.mean(0, keepdims=True)
    return 1 / (1 + np.exp(-linear(p, f"{name}.grow", relu(linear(p, f"{name}.shrink", fused)))))


def layer_norm(p, name, x):
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p[f"{name}.weight"]
        + p[f"{name}.bias"]
    )


def block(p, name, query, source, heads, form):
    q, k, v = (
        linear(p, f"{name}.{part}", x) for part, x in (("query", query), ("key", source), ("value", source))
    )
    size = q.shape[1] // heads
    mixed = []
    for h in range(heads):
        s = slice(h * size, (h + 1) * size)
        mixed.append(np.stack([softmax(row) for row in q[:, s] @ k[:, s].T / math.sqrt(size)]) @ v[:, s])
    x = linear(p, f"{name}.out", np.concatenate(mixed, axis=1))
    inner = layer_norm(p, f"{name}.first_norm", x + q)
    y = linear(p, f"{name}.ffn.2", relu(linear(p, f"{name}.ffn.0", inner)))
    return layer_norm(p, f"{name}.last_norm", (inner if form == "post_ln" else x) + y)


def dual(p, name, m, v, heads, form):
    def run(which, q, s):
        return block(p, f"{name}.{which}", q, s, heads, form)

    m_self, v_self = run("guide_self", m, m), run("visual_self", v, v)
    m_cross = run("guide_cross", m, np.concatenate([m, v_self]))
    v_cross = run("visual_cross", v, np.concatenate([v, m_self]))
    return run("fusion", m_cross * v_cross, np.concatenate([m_cross, v_cross]))


def guided(p, name, rows, present, visual, c):
    """Real frames only; `c` is the M2HFConfig."""
    fusion = c.audio_fusion if name.endswith("audio") else c.motion_fusion
    standard = (rows - p[f"{name}.completion.mean"]) / p[f"{name}.completion.std"]
    filled = np.where(present[:, None], standard, 1.0 if c.completion else 0.0)
    if fusion == "none":
        return linear(p, f"{name}.project", filled)
    if fusion == "mfb":
        fused = mfb(p, f"{name}.mfb", filled, visual, c.factor, c.mfb_relu)
    else:
        fused = dual(p, f"{name}.dual", linear(p, f"{name}.project", filled), visual, c.heads, c.block_form)
    return gate(p, f"{name}.gate", fused, c.squeeze) * visual


def features(p, clip, c):
    frames, mask, audio, has_audio, motion, has_motion = clip
    visual = frames[mask]
    made = {}
    for branch in c.branches:
        if branch == "visual":
            made[branch] = visual
        elif branch == "audio":
            made[branch] = guided(p, "guided.audio", audio[mask], has_audio[mask], visual, c)
        else:
            made[branch] = guided(p, "guided.motion", motion[mask], has_motion[mask], visual, c)
    if c.one_branch:
        how = {"multiply": np.prod, "average": np.mean, "add": np.sum}[c.one_branch]
        return {"joint": how(np.stack(list(made.values())), axis=0)}
    return made


def m2hf(p, texts, clips, c):
    """texts: (tokens, mask, pooled) each; clips: as in `features`. Per branch S[text, clip], all words opened."""
    result = {}
    for j, clip in enumerate(clips):
        for branch, rows in features(p, clip, c).items():
            matrix = result.setdefault(branch, np.zeros((len(texts), len(clips))))
            for i, (tokens, mask, pooled) in enumerate(texts):
                everything = np.ones(len(rows), bool)
                matrix[i, j] = wti(
                    p, f"wti.{branch}", tokens, mask, pooled, rows, everything, c.rho, c.start_token
                )
    return result


def dsl(scores, eta, lam):
    """(t2v, v2t): text i's softmax over clips, re-weighted by each clip's softmax over texts, and the reverse."""
    logit, B = eta * scores, len(scores)
    prior_texts = B * np.stack([softmax(lam * column) for column in logit.T], axis=1)
    prior_videos = B * np.stack([softmax(lam * row) for row in logit])
    t2v = [log_softmax_at((logit * prior_texts)[i], i) for i in range(B)]
    v2t = [log_softmax_at((logit * prior_videos)[:, i], i) for i in range(B)]
    return np.array(t2v), np.array(v2t)
