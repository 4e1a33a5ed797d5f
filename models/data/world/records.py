"""What is true of a scene, as JSON that needs no other file to be understood."""

from typing import Any

from models.data.world.captions import caption_scenes
from models.data.world.names import COLOURS, MATERIALS, SHAPES, TABLES, WALLS, object_name
from models.data.world.scenes import Scenes
from models.data.world.views import Views

Record = dict[str, Any]


def scene_records(scenes: Scenes, views: Views) -> list[Record]:
    """One record a scene: caption, camera, room and the visible objects with their boxes."""
    if views.truth is None:
        raise ValueError("records need to know what is visible: render with truths=True")
    size_px = views.image.shape[1]
    cameras = scenes.camera.intrinsics(size_px).tolist()
    captions = caption_scenes(scenes, views)
    return [
        {
            "caption": captions[i],
            "size_px": size_px,
            "camera": dict(zip(_CAMERA_KEYS, cameras[i], strict=True)),
            "table": TABLES[int(scenes.room.table[i])],
            "wall": WALLS[int(scenes.room.wall[i])],
            "objects": _objects(scenes, views, i),
        }
        for i in range(len(scenes))
    ]


_CAMERA_KEYS = ("focal_px", "centre_x_px", "centre_y_px", "baseline_m")


def _objects(scenes: Scenes, views: Views, i: int) -> list[Record]:
    assert views.truth is not None
    boxes = views.truth.boxes
    objects = []
    for row in range(int(boxes.count[i])):
        k = int(boxes.instance[i, row]) - 1
        shape, colour = SHAPES[int(scenes.shape[i, k])], COLOURS[int(scenes.colour[i, k])]
        objects.append(
            {
                "name": object_name(colour, shape),
                "shape": shape,
                "colour": colour,
                "material": MATERIALS[int(scenes.material[i, k])],
                "instance": k + 1,
                "box_xyxy_px": boxes.xyxy_px[i, row].tolist(),
                "centre_m": scenes.position[:, i, k].tolist(),
            }
        )
    return objects
