"""The platform side of the container: everything SageMaker promises a program called ``train`` or ``serve``.

It knows ``/opt/ml``, signals, hosts and HTTP. It does not know what a row, a feature or a network is: that is the
package ``model``, which it reaches through two functions, ``model.train(job)`` and ``model.load(model_dir)``.
"""
