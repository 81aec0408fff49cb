"""A small data set in each format that is read, as files by name."""

from __future__ import annotations

import json

BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
XML = f"<annotation><filename>a.png</filename><object><name>c</name>{BOX}</object></annotation>"
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 8}, {"id": "2", "file_name": "b.png"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0.5, 2, 2], "iscrowd": 0}],
    "categories": [{"id": 5, "name": "cat"}],
}
TABLE = """image_url,label\na.png,"[{'type': 'cat', 'bottomX': 1, 'topX': 2, 'bottomY': 1, 'topY': 3}]"\n"""
CVAT = """<annotations><meta><task><labels><label><name>c</name></label></labels></task></meta>
<image id="0" name="a.png" width="9" height="8"><box label="c" xtl="1" ytl="2" xbr="3" ybr="4"/>
<polygon label="c" points="1,2;3,4;5,1"/><tag label="c"/></image></annotations>"""
TRACK = """<annotations><meta><task><start_frame>0</start_frame><stop_frame>3</stop_frame></task></meta>
<track label="c">
<box frame="0" outside="0" xtl="1" ytl="2" xbr="3" ybr="4"/><box frame="2" outside="1"/></track></annotations>"""
YOLO = {"data.yaml": "train: .\nnames: {0: cat, 1: owl}\n", "a.txt": "0 0.5 0.5 0.25 0.25\n1 0 0 1 0 1 1\n"}

# By name: the files of a whole data set, the first of which is read, and the one that is damaged.
SETS: dict[str, tuple[dict[str, str], str]] = {
    "multiclass": ({"t.txt": "a.png 0\nx.zip@b.png 1\n"}, "t.txt"),
    "multilabel": ({"t.txt": 'a.png 0,1\n"x y.png" 2,\n', "labels.txt": "cat\ndog\nowl\n"}, "t.txt"),
    "labels.txt": ({"t.txt": "a.png 0\nb.png 1\n", "labels.txt": "cat\nblack dog\n"}, "labels.txt"),
    "detection": ({"t.txt": "a.png a.txt\nb.png x.zip@c.txt\n", "a.txt": "0 1 2 3.5 4\n"}, "t.txt"),
    "box file": ({"t.txt": "a.png a.txt\n", "a.txt": "0 1 2 3.5 4\n1 5 6 7 8\n"}, "a.txt"),
    "vott": ({"t.csv": "image,x1,y1,x2,y2,class\na.png,1,2,3,4,cat\nb.png,,,,,\n"}, "t.csv"),
    "seed": ({"t.csv": "filename,class,xmin,ymin,xmax,ymax\na.png,cat,1,2,3,4\nb.png,,0,0,0,0\n"}, "t.csv"),
    "label csv": ({"t.csv": "filename,label\na.png,cat\nb.png,dog\n"}, "t.csv"),
    "table": ({"t.csv": TABLE}, "t.csv"),
    "coco": ({"t.json": json.dumps(COCO)}, "t.json"),
    "voc": ({"Annotations/a.xml": XML}, "Annotations/a.xml"),
    "voc list": ({"ImageSets/Main/t.txt": "a 1\nb -1\n", "Annotations/a.xml": XML}, "ImageSets/Main/t.txt"),
    "cvat": ({"t.xml": CVAT}, "t.xml"),
    "cvat tracks": ({"t.xml": TRACK}, "t.xml"),
    "yolo": (YOLO, "a.txt"),
    "data.yaml": (YOLO, "data.yaml"),
}
